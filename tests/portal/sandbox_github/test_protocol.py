"""What surrounds the answers: tokens, limits, caching, faults, GraphQL, git over HTTP."""

import os
import subprocess

import httpx
import pytest

from portal.sandbox.server import Fault

from .conftest import ADMIN, TOKEN
from .official import SHARED, needs_it

PULLS = """
query ($owner: String!, $name: String!, $first: Int!, $after: String, $checks: Boolean!) {
  repository(owner: $owner, name: $name) {
    staging: ref(qualifiedName: "refs/heads/staging") { target { oid } }
    main: ref(qualifiedName: "refs/heads/main") { refUpdateRule { requiredStatusCheckContexts } }
    open: pullRequests(states: [OPEN], baseRefName: "staging", first: $first, after: $after,
                       orderBy: {field: CREATED_AT, direction: ASC}) {
      totalCount
      pageInfo { hasNextPage endCursor }
      nodes {
        number mergeable
        statusCheckRollup @include(if: $checks) {
          state
          contexts(first: 50) {
            nodes { __typename ... on CheckRun { name conclusion } ... on StatusContext { context
            state } }
          }
        }
      }
    }
    merged: pullRequests(states: [MERGED], baseRefName: "staging", first: 50) { nodes { number
    headRefOid } }
  }
}
"""


def graphql(world, query=PULLS, **variables):
    given = {"owner": "acme", "name": "signals", "first": 1, "checks": True} | variables
    return world.http.post("/graphql", json={"query": query, "variables": given})


@pytest.mark.parametrize(
    ("path", "authorization", "status", "message"),
    [
        ("/repos/acme/signals", "Bearer wrong", 401, "Bad credentials"),
        ("/repos/acme/signals", "Bearer", 401, "Bad credentials"),
        ("/repos/acme/signals", "Basic ***", 401, "Bad credentials"),
        ("/repos/acme/signals", "", 404, "Not Found"),
        ("/repos/acme/other", f"Bearer {TOKEN}", 404, "Not Found"),
        ("/nowhere", f"token {TOKEN}", 404, "Not Found"),
        ("/user", "", 401, "Requires authentication"),
    ],
)
def test_it_refuses_as_github_does(world, path, authorization, status, message):
    answer = world.http.get(path, headers={"Authorization": authorization})

    assert (answer.status_code, answer.json()["message"]) == (status, message)


def test_an_installation_token_works_for_an_hour_and_no_longer(tmp_path, world):
    made = world.http.post(
        "/app/installations/2001/access_tokens", headers={"Authorization": "Bearer a.b.c"}
    ).json()
    headers = {"Authorization": f"Bearer {made['token']}"}

    fresh = world.http.get(world.path(""), headers=headers)
    world.hub.state["tokens"][made["token"]] = "2000-01-01T00:00:00Z"
    stale = world.http.get(world.path(""), headers=headers)

    assert (fresh.status_code, stale.status_code) == (200, 401)


def test_an_unchanged_answer_is_a_304_that_costs_nothing_and_belongs_to_one_token(world):
    first = world.http.get(world.path("/branches/main"))
    seen = {"If-None-Match": first.headers["etag"]}

    again = world.http.get(world.path("/branches/main"), headers=seen)
    other = world.http.get(
        world.path("/branches/main"), headers=seen | {"Authorization": f"token {ADMIN}"}
    )
    world.hub.push_commit("main", {"a": "1\n"}, "One")
    moved = world.http.get(world.path("/branches/main"), headers=seen)

    assert [a.status_code for a in (again, other, moved)] == [304, 200, 200]
    assert again.headers["x-ratelimit-remaining"] == first.headers["x-ratelimit-remaining"]
    assert again.content == b""


def test_a_spent_allowance_is_a_403_that_says_when_it_is_renewed(world):
    world.hub.rate["core"].used = 5000

    answer = world.http.get(world.path(""))

    assert answer.status_code == 403
    assert "rate limit exceeded" in answer.json()["message"]
    assert answer.headers["x-ratelimit-remaining"] == "0"
    assert int(answer.headers["x-ratelimit-reset"]) > 0
    assert world.http.get("/rate_limit").json()["resources"]["core"]["remaining"] == 0


def test_a_list_is_paged_by_link(world):
    url, numbers = world.path("/pulls?state=all&per_page=3"), []
    while url:
        answer = world.http.get(url)
        numbers += [pull["number"] for pull in answer.json()]
        url = answer.links.get("next", {}).get("url")

    assert numbers == [130, 129, 128, 127, 126, 125, 124]


def test_a_dropped_answer_to_a_merge_has_merged(world):
    number = world.promotion()
    world.server.faults.append(Fault("drop", path="/merge"))

    with pytest.raises(httpx.RemoteProtocolError):
        world.http.put(world.path(f"/pulls/{number}/merge"), json={})

    assert world.http.get(world.path(f"/pulls/{number}/merge")).status_code == 204


def test_what_a_graphql_document_asks_is_what_it_gets_page_by_page(world):
    first = graphql(world).json()["data"]["repository"]
    second = graphql(world, after=first["open"]["pageInfo"]["endCursor"], checks=False).json()[
        "data"
    ]["repository"]

    assert first["staging"]["target"]["oid"] == world.hub.heads()["staging"]
    assert first["main"]["refUpdateRule"]["requiredStatusCheckContexts"] == [
        "python-ci",
        "release-portal",
    ]
    assert (first["open"]["totalCount"], first["open"]["pageInfo"]["hasNextPage"]) == (2, True)
    node = {"__typename": "CheckRun", "name": "python-ci", "conclusion": "SUCCESS"}
    rollup = {"state": "SUCCESS", "contexts": {"nodes": [node]}}
    pull = {"number": 129, "mergeable": "UNKNOWN", "statusCheckRollup": rollup}
    assert first["open"]["nodes"] == [pull]
    assert second["open"]["nodes"] == [{"number": 130, "mergeable": "UNKNOWN"}]
    assert second["open"]["pageInfo"]["hasNextPage"] is False
    assert [pull["number"] for pull in first["merged"]["nodes"]] == [124, 125, 126, 127, 128]


def test_check_runs_that_may_not_be_read_are_errors_beside_good_data(world):
    world.hub.checks_readable = False

    answer = graphql(world).json()

    assert answer["errors"][0]["type"] == "FORBIDDEN"
    assert answer["data"]["repository"]["open"]["nodes"][0]["statusCheckRollup"]["contexts"][
        "nodes"
    ] == [None]
    assert world.http.get(world.path("/commits/main/check-runs")).status_code == 403


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ('{ repository(owner: "a", name: "b") { id } }', "Could not resolve to a Repository"),
        (
            '{ repository(owner: "acme", name: "signals") { pullRequests { totalCount } } }',
            "`first` or `last`",
        ),
        ("{ nothing }", "Cannot query field 'nothing'"),
        ("{", "Syntax Error"),
    ],
)
def test_graphql_errors_come_with_status_200(world, query, words):
    answer = graphql(world, query)

    assert answer.status_code == 200
    assert words in answer.json()["errors"][0]["message"]


@pytest.mark.parametrize("mark", needs_it[:1])
@needs_it[1]
def test_the_published_query_runs(world, mark):
    query = (SHARED / "open_pull_requests.graphql").read_text()
    variables = {"base": "staging", "baseRef": "refs/heads/staging", "requiredForPull": 129}

    answer = graphql(world, query, **variables, withRequired=True).json()

    assert "errors" not in answer
    pulls = answer["data"]["repository"]["pullRequests"]
    assert sorted(pull["number"] for pull in pulls["nodes"]) == [129, 130]
    assert pulls["nodes"][0]["checks"]["contexts"]["nodes"][0]["isRequired"] is False


def git(*args, cwd=None, ok=True):
    env = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    env |= {"GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_GLOBAL": "/dev/null", "NO_PROXY": "127.0.0.1"}
    who = ["-c", "user.name=Maria", "-c", "user.email=maria@users.noreply.github.com"]
    done = subprocess.run(["git", *who, *args], cwd=cwd, env=env, capture_output=True, text=True)
    assert (done.returncode == 0) is ok, done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def clone(world, tmp_path):
    address = world.hub.web.replace("://", f"://x-access-token:{TOKEN}@") + ".git"
    git("clone", "--quiet", address, str(tmp_path / "clone"))
    return tmp_path / "clone"


def write(clone, name, text="1\n"):
    (clone / name).write_text(text)
    git("add", name, cwd=clone)
    git("commit", "--quiet", "-m", f"Write {name}", cwd=clone)
    return git("rev-parse", "HEAD", cwd=clone).strip()


def test_a_clone_has_every_branch_and_a_fetch_brings_what_is_new(world, clone):
    tip = world.hub.push_commit("staging", {"new.txt": "1\n"}, "New")

    git("fetch", "--quiet", cwd=clone)

    assert git("rev-parse", "origin/staging", cwd=clone).strip() == tip
    assert git("rev-parse", "origin/main", cwd=clone).strip() == world.hub.heads()["main"]


def test_a_push_moves_the_branch_its_pull_request_and_its_listeners(world, clone):
    heard = []
    world.hub.on_push.append(lambda *move: heard.append(move))
    before = world.hub.heads()["feature/csv-export"]
    git("switch", "--quiet", "feature/csv-export", cwd=clone)
    tip = write(clone, "more.txt", "x" * 3_000_000)

    git("push", "--quiet", cwd=clone)

    assert world.hub.heads()["feature/csv-export"] == tip
    assert world.http.get(world.path("/pulls/130")).json()["head"]["sha"] == tip
    assert heard == [("feature/csv-export", before, tip)]


def test_a_push_past_protection_is_refused_with_a_reason(world, clone):
    before = world.hub.heads()["main"]
    git("switch", "--quiet", "main", cwd=clone)
    write(clone, "sneaked.txt")

    words = git("push", cwd=clone, ok=False)

    assert "GH006" in words
    assert "Changes must be made through a pull request." in words
    assert world.hub.heads()["main"] == before


def test_a_forced_push_is_refused_where_the_branch_forbids_it_and_a_plain_one_is_not(world, clone):
    world.hub.protect("staging")
    git("switch", "--quiet", "staging", cwd=clone)
    write(clone, "plain.txt")
    git("push", "--quiet", cwd=clone)
    git("reset", "--quiet", "--hard", "HEAD~2", cwd=clone)

    words = git("push", "--force", cwd=clone, ok=False)

    assert "Cannot force-push to this branch" in words


def test_git_without_a_token_gets_nothing(world):
    assert "could not read Username" in git("ls-remote", f"{world.hub.web}.git", ok=False)
