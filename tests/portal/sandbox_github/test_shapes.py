"""Every answer of the stand-in is one that GitHub describes."""

from pathlib import Path

from .official import SHARED, description, hold, needs_it

pytestmark = needs_it

CHECKS = [{"context": "python-ci", "app_id": -1}]
PROTECTION = {
    "required_status_checks": {"strict": True, "checks": CHECKS},
    "enforce_admins": True,
    "required_pull_request_reviews": {"required_approving_review_count": 1},
    "restrictions": None,
}
RULESET = {
    "name": "staging",
    "target": "branch",
    "enforcement": "active",
    "conditions": {"ref_name": {"include": ["refs/heads/staging"], "exclude": []}},
    "bypass_actors": [{"actor_id": 1001, "actor_type": "Integration", "bypass_mode": "always"}],
    "rules": [
        {"type": "non_fast_forward"},
        {"type": "deletion"},
        {
            "type": "required_status_checks",
            "parameters": {
                "required_status_checks": [{"context": "python-ci"}],
                "strict_required_status_checks_policy": False,
            },
        },
    ],
}


def test_every_answer_to_a_read_is_as_github_describes_it(world):
    number = world.promotion()
    world.hub.add_review(number, "jonas")
    head, base = world.hub.heads()["staging"], world.hub.heads()["main"]
    check = world.http.get(world.path(f"/commits/{head}/check-runs")).json()["check_runs"][0]
    run = world.http.get(world.path("/actions/runs")).json()["workflow_runs"][0]
    hook = world.hub.add_hook("http://127.0.0.1:9/", "s", ["push"])
    world.hub.hooks.wait()
    delivery = world.http.get(world.path(f"/hooks/{hook}/deliveries")).json()[0]
    world.http.post(world.path(f"/issues/{number}/comments"), json={"body": "Ready"})
    world.http.post(world.path("/deployments"), json={"ref": "main", "required_contexts": []})
    world.http.post(world.path("/releases"), json={"tag_name": "v1"})
    deployment = world.http.get(world.path("/deployments")).json()[0]
    comment = world.http.get(world.path(f"/issues/{number}/comments")).json()[0]
    release = world.http.get(world.path("/releases/latest")).json()
    ruleset = world.http.post(world.path("/rulesets"), json=RULESET).json()
    inside = [
        "",
        "/pulls?state=all",
        "/pulls?state=open&base=main&head=acme:staging",
        f"/pulls/{number}",
        "/pulls/124",
        "/pulls/124/merge",
        f"/pulls/{number}/merge",
        f"/pulls/{number}/reviews",
        f"/pulls/{number}/files",
        f"/pulls/{number}/commits",
        "/commits?sha=staging&per_page=2",
        "/commits/staging",
        f"/commits/{base}",
        "/commits/staging/check-runs",
        "/commits/staging/status",
        f"/commits/{base}/status",
        "/commits/staging/statuses",
        f"/commits/{world.sample.merged[0].commit}/pulls",
        "/compare/main...staging",
        "/compare/staging...main?page=1",
        "/branches",
        "/branches/main",
        "/branches/staging",
        "/branches/main/protection",
        "/branches/staging/protection",
        "/branches/main/protection/required_status_checks",
        "/rules/branches/staging",
        "/rulesets",
        f"/rulesets/{ruleset['id']}",
        "/git/ref/heads/staging",
        "/git/ref/heads/feature/csv-export",
        "/git/ref/heads/nowhere",
        "/git/trees/staging?recursive=1",
        "/contents/backend?ref=staging",
        "/contents/backend/alembic.ini?ref=staging",
        "/contents/nothing",
        "/tarball/main",
        "/deployments",
        f"/deployments/{deployment['id']}",
        f"/deployments/{deployment['id']}/statuses",
        "/environments",
        f"/check-runs/{check['id']}",
        f"/issues/{number}/comments",
        f"/issues/comments/{comment['id']}",
        "/releases",
        "/releases/latest",
        "/releases/tags/v1",
        f"/releases/{release['id']}",
        "/hooks",
        f"/hooks/{hook}",
        f"/hooks/{hook}/deliveries",
        f"/hooks/{hook}/deliveries/{delivery['id']}",
        "/collaborators/acme/permission",
        "/installation",
        "/actions/runs",
        f"/actions/runs/{run['id']}/jobs",
    ]
    outside = [
        "/rate_limit",
        "/user",
        "/meta",
        "/app",
        "/app/hook/deliveries",
        "/installation/repositories",
    ]

    held = {hold(world.http.get(path)) for path in [*map(world.path, inside), *outside]}

    described = {
        f"GET {path}" for path, methods in description()["paths"].items() if "get" in methods
    }
    assert held == described


def test_every_answer_to_a_write_is_as_github_describes_it(world):
    http, path = world.http, world.path
    head = world.hub.heads()["staging"]
    tip = world.hub.push_commit("feature/new", {"a.txt": "1\n"}, "Something new")
    held = set()

    def told(answer, status):
        assert answer.status_code == status, answer.text
        held.add(hold(answer))
        return answer.json() if answer.content else None

    pull = told(
        http.post(path("/pulls"), json={"head": "feature/new", "base": "staging", "title": "New"}),
        201,
    )
    number = pull["number"]
    told(
        http.post(path("/pulls"), json={"head": "feature/new", "base": "staging", "title": "New"}),
        422,
    )
    told(http.patch(path(f"/pulls/{number}"), json={"title": "Newer"}), 200)
    told(http.post(path(f"/issues/{number}/labels"), json={"labels": ["db"]}), 200)
    comment = told(http.post(path(f"/issues/{number}/comments"), json={"body": "x"}), 201)
    told(http.patch(path(f"/issues/comments/{comment['id']}"), json={"body": "y"}), 200)
    told(http.post(path(f"/statuses/{tip}"), json={"state": "pending", "context": "c"}), 201)
    check = told(http.post(path("/check-runs"), json={"name": "verdict", "head_sha": tip}), 201)
    told(http.patch(path(f"/check-runs/{check['id']}"), json={"conclusion": "neutral"}), 200)
    world.hub.push_commit("staging", {"b.txt": "1\n"}, "Moved on")
    told(http.put(path(f"/pulls/{number}/update-branch"), json={}), 202)
    told(http.put(path(f"/pulls/{number}/update-branch"), json={}), 422)
    told(http.put(path(f"/pulls/{number}/merge"), json={"sha": head}), 409)
    told(http.put(path(f"/pulls/{number}/merge"), json={}), 200)
    told(http.put(path(f"/pulls/{number}/merge"), json={}), 405)
    told(http.put(path("/branches/staging/protection"), json=PROTECTION), 200)
    told(http.put(path("/branches/staging/protection"), json={"restrictions": None}), 422)
    strict = path("/branches/staging/protection/required_status_checks")
    told(http.patch(strict, json={"strict": False}), 200)
    told(http.delete(path("/branches/staging/protection")), 204)
    ruleset = told(http.post(path("/rulesets"), json=RULESET), 201)
    told(http.put(path(f"/rulesets/{ruleset['id']}"), json={"enforcement": "disabled"}), 200)
    told(http.post(path("/git/refs"), json={"ref": "refs/heads/release/1", "sha": head}), 201)
    told(
        http.patch(path("/git/refs/heads/release/1"), json={"sha": world.hub.heads()["staging"]}),
        200,
    )
    told(http.patch(path("/git/refs/heads/release/1"), json={"sha": head}), 422)
    told(http.post(path("/merges"), json={"base": "release/1", "head": head}), 204)
    told(http.post(path("/merges"), json={"base": "release/1", "head": "feature/csv-export"}), 201)
    told(http.delete(path("/git/refs/heads/release/1")), 204)
    deployment = told(
        http.post(path("/deployments"), json={"ref": "main", "required_contexts": []}), 201
    )
    told(
        http.post(path(f"/deployments/{deployment['id']}/statuses"), json={"state": "success"}), 201
    )
    told(http.post(path("/releases/generate-notes"), json={"tag_name": "v2"}), 200)
    release = told(http.post(path("/releases"), json={"tag_name": "v2"}), 201)
    told(http.patch(path(f"/releases/{release['id']}"), json={"name": "Two"}), 200)
    hook = told(http.post(path("/hooks"), json={"config": {"url": "http://127.0.0.1:9/"}}), 201)
    told(http.patch(path(f"/hooks/{hook['id']}"), json={"active": False}), 200)
    told(http.post(path(f"/hooks/{hook['id']}/pings")), 204)
    world.hub.hooks.wait()
    delivery = http.get(path(f"/hooks/{hook['id']}/deliveries")).json()[0]
    told(http.post(path(f"/hooks/{hook['id']}/deliveries/{delivery['id']}/attempts")), 202)
    told(http.delete(path(f"/hooks/{hook['id']}")), 204)
    told(http.post("/app/installations/2001/access_tokens"), 201)

    described = {
        f"{method.upper()} {where}"
        for where, methods in description()["paths"].items()
        for method in methods
        if method != "get"
    }
    assert described - held == {"POST /app/hook/deliveries/{delivery_id}/attempts"}


def test_its_graphql_schema_says_nothing_that_githubs_does_not():
    from graphql import build_schema

    from portal.sandbox.github.graph import schema

    more = Path(__file__).with_name("merge_rules.graphql").read_text()
    theirs = build_schema((SHARED / "schema_subset.graphql").read_text() + more)

    for name, kind in schema().type_map.items():
        if name.startswith("__") or name in ("String", "Int", "Float", "Boolean", "ID"):
            continue
        official = theirs.type_map[name]
        assert type(kind) is type(official), name
        for field, mine in getattr(kind, "fields", {}).items():
            published = official.fields[field]
            assert str(mine.type) == str(published.type), f"{name}.{field}"
            for argument, value in getattr(mine, "args", {}).items():
                assert str(value.type) == str(published.args[argument].type), (
                    f"{name}.{field}({argument})"
                )
        for word in getattr(kind, "values", {}):
            assert word in official.values, f"{name}.{word}"
        members = {one.name for one in getattr(kind, "types", ())}
        assert members <= {one.name for one in getattr(official, "types", ())}, name
        interfaces = {one.name for one in getattr(kind, "interfaces", ())}
        assert interfaces <= {one.name for one in getattr(official, "interfaces", ())}, name
