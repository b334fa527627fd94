import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import jsonschema
import pytest
import stamina
from graphql import build_schema, parse, validate
from graphql.execution.values import get_variable_values

from environments.github import GitHub, Pages, Recent, Required
from portal.outbound.http import ApiError
from portal.sandbox.server import Fault, Request, Response, Server
from tests.environments.mutation import mutations

SHARED = Path(__file__).resolve().parents[3] / "../shared/github"
TOKEN = "github_pat_0123456789"
HEAD, MAIN, MERGE = "a" * 40, "b" * 40, "c" * 40
RULES = {
    "target": {"oid": HEAD},
    "refUpdateRule": {
        "allowsDeletions": False,
        "requiredApprovingReviewCount": 1,
        "requiredStatusCheckContexts": ["tests", "lint"],
        "requiresCodeOwnerReviews": False,
        "requiresConversationResolution": True,
        "requiresLinearHistory": False,
        "requiresSignatures": False,
    },
    "branchProtectionRule": None,
    "rules": {
        "nodes": [
            {"type": "DELETION", "parameters": None},
            {
                "type": "REQUIRED_STATUS_CHECKS",
                "parameters": {
                    "strictRequiredStatusChecksPolicy": False,
                    "requiredStatusChecks": [{"context": "tests", "integrationId": 15368}],
                },
            },
        ]
    },
}
CHECKS = [
    {
        "__typename": "CheckRun",
        "name": "tests",
        "status": "COMPLETED",
        "conclusion": "SUCCESS",
        "startedAt": "2026-11-22T10:00:00Z",
        "completedAt": "2026-11-22T10:05:00Z",
        "detailsUrl": "https://github.com/x",
        "checkSuite": {"app": {"databaseId": 15368}},
    },
    {
        "__typename": "StatusContext",
        "context": "release-portal",
        "state": "PENDING",
        "targetUrl": None,
        "createdAt": "2026-11-22T10:00:00Z",
    },
]


def node(number: int, **other) -> dict:
    contexts = {"contexts": {"pageInfo": {"hasNextPage": False}, "nodes": CHECKS}}
    return {
        "number": number,
        "title": "<script>alert(1)</script>\u202e\x00",
        "url": f"https://github.com/acme/x/pull/{number}",
        "isDraft": False,
        "isCrossRepository": False,
        "updatedAt": "2026-11-22T10:00:00Z",
        "author": {"login": "ann"},
        "baseRefName": "staging",
        "baseRefOid": MAIN,
        "headRefName": "feature",
        "headRefOid": HEAD,
        "mergeable": "MERGEABLE",
        "mergeStateStatus": "CLEAN",
        "reviewDecision": None,
        "changedFiles": 1,
        "additions": 2,
        "deletions": 3,
        "labels": {"nodes": [{"name": "db"}]},
        "latestOpinionatedReviews": {"nodes": []},
        "rollup": {"state": "SUCCESS"},
        "checks": contexts,
    } | other


SETTINGS = {
    "nameWithOwner": "acme/x",
    "mergeCommitAllowed": True,
    "squashMergeAllowed": True,
    "rebaseMergeAllowed": False,
    "deleteBranchOnMerge": False,
}


def repository(*pulls: dict, cursor: str | None = None, **other) -> dict:
    return {
        **SETTINGS,
        "staging": RULES,
        "production": RULES | {"target": {"oid": MAIN}},
        "open": {
            "pageInfo": {"hasNextPage": cursor is not None, "endCursor": cursor},
            "nodes": list(pulls or [node(1)]),
        },
        "closed": {"nodes": [{"number": 4}]},
        "merged": {"nodes": [{k: node(5)[k] for k in MERGED_KEYS}]},
        "promotions": {
            "pageInfo": {"hasNextPage": False},
            "nodes": [node(9, headRefName="staging", baseRefName="main")],
        },
    } | other


MERGED_KEYS = ["number", "title", "url", "updatedAt", "author", "headRefName", "headRefOid"]
PULL = {
    "number": 9,
    "state": "open",
    "merged": False,
    "merged_at": None,
    "merge_commit_sha": "d" * 40,
    "head": {"sha": HEAD, "ref": "staging"},
    "base": {"ref": "main"},
    "mergeable": None,
    "mergeable_state": "unknown",
    "html_url": "https://github.com/acme/x/pull/9",
    "title": "Release",
}
RUN = {
    "name": "tests",
    "status": "completed",
    "conclusion": "success",
    "app": {"id": 15368},
    "id": 1,
}
JOB = {
    "name": "tests",
    "status": "completed",
    "conclusion": "failure",
    "html_url": "https://github.com/j",
}
STATUS = {"context": "release-portal", "state": "pending", "description": None, "target_url": None}
HOOK = {
    "id": 11,
    "active": True,
    "events": ["push"],
    "config": {"url": "https://p/hook", "content_type": "json", "secret": "********"},
}
PROTECTION = {
    # The published description wrongly demands `contexts`, which GitHub refuses beside `checks`.
    "required_status_checks": None,
    "enforce_admins": True,
    "required_pull_request_reviews": {
        "required_approving_review_count": 1,
        "bypass_pull_request_allowances": {"users": [], "teams": [], "apps": ["release-portal"]},
    },
    "restrictions": None,
    "required_linear_history": False,
    "allow_force_pushes": False,
    "allow_deletions": False,
    "block_creations": False,
    "required_conversation_resolution": True,
    "lock_branch": False,
    "allow_fork_syncing": False,
}
RULE = {
    "type": "deletion",
    "ruleset_id": 5,
    "ruleset_source": "acme/x",
    "ruleset_source_type": "Repository",
}
GOOD = {
    "GET /repos/acme/x/deployments/7/statuses": [{"id": 1, "state": "success"}],
    "GET /repos/acme/x/deployments": [{"id": 7, "sha": MERGE, "environment": "pr-9"}],
    "GET /repos/acme/x/branches/staging/protection": {"enforce_admins": {"enabled": True}},
    "PUT /repos/acme/x/branches/staging/protection": {"enforce_admins": {"enabled": True}},
    "GET /repos/acme/x/rules/branches/staging": [RULE],
    "GET /repos/acme/x/rulesets/5": {"id": 5, "name": "strict", "bypass_actors": []},
    "POST /graphql": {"data": {"rateLimit": {"remaining": 4998}, "repository": repository()}},
    "GET /repos/acme/x/pulls/9": PULL,
    "GET /repos/acme/x/pulls/9/reviews": [],
    "GET /repos/acme/x/pulls": [
        {k: v for k, v in PULL.items() if k not in {"merged", "mergeable"}}
    ],
    "POST /repos/acme/x/pulls": PULL,
    "PUT /repos/acme/x/pulls/9/merge": {"sha": MERGE, "merged": True, "message": "merged"},
    "GET /repos/acme/x/compare/staging...main": {
        "status": "ahead",
        "ahead_by": 1,
        "behind_by": 0,
        "merge_base_commit": {"sha": HEAD},
    },
    "GET /repos/acme/x/git/ref/heads/staging": {
        "ref": "refs/heads/staging",
        "object": {"sha": HEAD},
    },
    "PATCH /repos/acme/x/git/refs/heads/staging": {
        "ref": "refs/heads/staging",
        "object": {"sha": MERGE},
    },
    f"GET /repos/acme/x/commits/{HEAD}/check-runs": {"total_count": 1, "check_runs": [RUN]},
    f"GET /repos/acme/x/commits/{HEAD}/status": {"state": "pending", "statuses": [STATUS]},
    f"GET /repos/acme/x/commits/{HEAD}/statuses": [STATUS],
    f"GET /repos/acme/x/commits/{HEAD}/pulls": [
        {k: v for k, v in PULL.items() if k not in {"merged", "mergeable"}}
    ],
    f"POST /repos/acme/x/statuses/{HEAD}": {"context": "release-portal", "state": "success"},
    "GET /repos/acme/x/issues/9/comments": [
        {"id": 3, "body": "<!-- portal --> hi", "html_url": None}
    ],
    "POST /repos/acme/x/issues/9/comments": {"id": 4},
    "GET /repos/acme/x/issues/comments/3": {"id": 3, "body": "hi", "html_url": None},
    "PATCH /repos/acme/x/issues/comments/3": {"id": 3},
    "POST /repos/acme/x/deployments": {"id": 7},
    "POST /repos/acme/x/deployments/7/statuses": {"id": 8},
    "GET /repos/acme/x/hooks": [HOOK],
    "POST /repos/acme/x/hooks": {"id": 12},
    "PATCH /repos/acme/x/hooks/11": {"id": 11},
    "GET /repos/acme/x/actions/runs": {"workflow_runs": [{"id": 6}]},
    "GET /repos/acme/x/actions/runs/6/jobs": {"jobs": [JOB]},
}
READS = {
    "overview": lambda github: github.overview(staging="staging", production="main"),
    "pull": lambda github: github.pull(9),
    "find_pull": lambda github: github.find_pull(head="staging", base="main"),
    "compare": lambda github: github.compare("staging", "main"),
    "branch_head": lambda github: github.branch_head("staging"),
    "checks": lambda github: github.checks(HEAD),
    "status": lambda github: github.status(HEAD, "release-portal"),
    "status_history": lambda github: github.status_history(HEAD),
    "pulls_of": lambda github: github.pulls_of(HEAD),
    "find_comment": lambda github: github.find_comment(9, "<!-- portal -->"),
    "read_comment": lambda github: github.read_comment(3),
    "hooks": lambda github: github.hooks(),
    "find_deployment": lambda github: github.find_deployment(MERGE, "pr-9"),
    "deployment_state": lambda github: github.deployment_state(7),
    "rules": lambda github: github.rules("staging"),
    "seen_members": lambda github: github.seen_members(9),
}
WRITES = {
    "add_hook": lambda github: github.add_hook("https://p/hook", secret="s", events=["push"]),
    "change_hook": lambda github: github.change_hook(
        11, "https://p/hook", secret="s", events=["push"]
    ),
    "open_pull": lambda github: github.open_pull(
        head="staging", base="main", title="Release", body="…"
    ),
    "merge": lambda github: github.merge(9, sha=HEAD, title="Release"),
    "fast_forward": lambda github: github.fast_forward("staging", MERGE),
    "set_status": lambda github: github.set_status(
        HEAD,
        context="release-portal",
        state="success",
        description="x" * 200,
        target_url="https://p/1",
    ),
    "comment": lambda github: github.comment(9, "hello"),
    "edit_comment": lambda github: github.edit_comment(3, "hello"),
    "create_deployment": lambda github: github.create_deployment(
        MERGE, environment="production", description="Release", production=True
    ),
    "deployment_status": lambda github: github.deployment_status(
        7, state="success", description="live", environment_url="https://x", log_url="https://p/1"
    ),
    "protect": lambda github: github.protect("staging", PROTECTION),
}


@pytest.fixture(autouse=True)
def no_waiting():
    with stamina.set_testing(True, attempts=3, cap=True):
        yield


def app(request: Request) -> Response:
    key = f"{request.method} {request.path}"
    return Response(200, GOOD[key]) if key in GOOD else Response(404, {"message": "Not Found"})


@pytest.fixture(scope="module")
def one_server():
    server = Server(app).start()
    yield server
    server.stop()


@pytest.fixture
def server(one_server):
    one_server.app = app
    one_server.faults.clear()
    one_server.requests.clear()
    return one_server


@pytest.fixture
def github(server):
    return GitHub("acme/x", api_url=server.url, token=TOKEN, kept=Recent())


def answering(server: Server, path: str, status: int, body: object, **headers: str) -> None:
    """Answers so where the path holds `path`, and properly elsewhere."""
    server.app = lambda request: (
        Response(status, body, {name.replace("_", "-"): value for name, value in headers.items()})
        if path in request.path
        else app(request)
    )


def pages(server: Server, *repositories: dict) -> None:
    left = list(repositories)
    server.app = lambda request: Response(200, {"data": {"repository": left.pop(0)}})


def overview(server: Server, github: GitHub, answer: dict, **beside):
    server.app = lambda request: Response(200, {"data": {"repository": answer}} | beside)
    return github.overview(staging="staging", production="main")


# What is sent, by the official descriptions


def official(name: str) -> str:
    if not (SHARED / name).exists():
        pytest.skip(f"GitHub's official description (../shared/github/{name}) is not here")
    return (SHARED / name).read_text()


@pytest.mark.official
@pytest.mark.parametrize("numbers", [(), (9, 12)])
def test_the_document_and_its_variables_are_valid_by_the_official_schema(server, github, numbers):
    more = Path(__file__).parents[2] / "portal/sandbox_github/merge_rules.graphql"
    schema = build_schema(official("schema_subset.graphql") + more.read_text())

    github.overview(staging="staging", production="main", numbers=numbers)

    asked = json.loads(server.requests[0].body)
    document, sent = parse(asked["query"]), asked["variables"]
    declared = document.definitions[0].variable_definitions
    assert validate(schema, document) == []
    assert not isinstance(get_variable_values(schema, declared, sent), list)
    assert set(sent) <= {definition.variable.name.value for definition in declared}


@pytest.mark.official
@pytest.mark.parametrize("name", [name for name in READS | WRITES if name != "overview"])
def test_every_request_is_one_the_official_description_knows(server, github, name):
    described = json.loads(official("openapi.json"))
    recorded: list[Request] = []

    def recording(request: Request) -> Response:
        recorded.append(request)
        if request.path.endswith("/check-runs"):
            return Response(403, {"message": "Resource not accessible by personal access token"})
        return app(request)

    server.app = recording

    (READS | WRITES)[name](github)

    assert recorded
    for request in recorded:
        operation = _operation(described, request)
        _check_query(described, operation, request)
        _check_body(described, operation, request)
        assert request.headers["x-github-api-version"] == "2022-11-28"
        assert request.headers["authorization"].endswith(TOKEN)


def _operation(described: dict, request: Request) -> dict:
    # The longest that fits: a branch may hold slashes and would swallow the rest of the path.
    for template, operations in sorted(described["paths"].items(), key=lambda item: -len(item[0])):
        pattern = re.sub(r"\{(ref|branch|basehead|path)\}", ".+", template)
        pattern = re.sub(r"\{\w+\}", "[^/]+", pattern)
        if re.fullmatch(pattern, unquote(request.path)) and request.method.lower() in operations:
            return operations[request.method.lower()]
    raise AssertionError(f"GitHub has no {request.method} {request.path}")


def _check_query(described: dict, operation: dict, request: Request) -> None:
    known = {}
    for parameter in operation.get("parameters", []):
        if "$ref" in parameter:
            parameter = described["components"]["parameters"][parameter["$ref"].rpartition("/")[2]]
        known[parameter["name"]] = parameter["schema"]
    for name, value in request.query.items():
        assert name in known, f"{request.path} has no parameter {name}"
        assert value in known[name].get("enum", [value])


def _check_body(described: dict, operation: dict, request: Request) -> None:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        assert request.body == b""
        return
    schema = content["schema"] | {
        "additionalProperties": False,
        "components": described["components"],
    }
    jsonschema.validate(request.json(), _with_nulls(schema))


def _with_nulls(schema: Any) -> Any:
    """OpenAPI 3.0 says `nullable`, which JSON Schema does not know."""
    if isinstance(schema, list):
        return [_with_nulls(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: _with_nulls(one) for name, one in schema.items()}
    if found.get("nullable") is True and isinstance(found.get("type"), str):
        found["type"] = [found["type"], "null"]
    return found


SEEN = "ma⟨U+202E⟩in⟨U+200B⟩"
HOSTILE = {
    "open_pull": lambda github, text: github.open_pull(
        head="staging", base="main", title=text, body=text
    ),
    "merge": lambda github, text: github.merge(9, sha=HEAD, title=text),
    "set_status": lambda github, text: github.set_status(
        HEAD, context="release-portal", state="success", description=text, target_url=""
    ),
    "create_deployment": lambda github, text: github.create_deployment(
        MERGE, environment="production", description=text, production=True
    ),
    "deployment_status": lambda github, text: github.deployment_status(
        7, state="success", description=text
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_sentence_leaves_for_github_with_a_sign_that_cannot_be_seen(name, server, github):
    HOSTILE[name](github, "ma\u202ein\u200b")

    sent = json.loads(server.requests[-1].body)
    assert SEEN in sent.values()
    assert not {"\u202e", "\u200b"} & set("".join(map(str, sent.values())))


# The overview


def test_an_overview_is_one_call(server, github):
    found = READS["overview"](github)

    [pull], [promotion] = found.open_pulls, found.promotions
    assert len(server.requests) == 1
    assert (found.staging_head, found.production_head) == (HEAD, MAIN)
    assert (pull.number, pull.title) == (1, "<script>alert(1)</script>⟨U+202E⟩⟨U+0000⟩")
    assert (promotion.number, promotion.head_ref) == (9, "staging")
    assert [merged.number for merged in found.merged_pulls] == [5]
    assert not found.problems and all(found.rules.values())


def test_required_checks_are_the_union_of_both_kinds_of_rules(github):
    found = READS["overview"](github)

    assert found.rules["staging"].checks == (Required("lint"), Required("tests", 15368))
    assert [(check.name, check.state, check.app_id) for check in found.open_pulls[0].checks] == [
        ("tests", "success", 15368),
        ("release-portal", "pending", None),
    ]


def test_a_check_of_another_app_is_told_apart_from_the_required_one(server, github):
    other = CHECKS[0] | {"checkSuite": {"app": {"databaseId": 1}}}
    checks = {"contexts": {"pageInfo": {"hasNextPage": False}, "nodes": [other]}}

    [pull] = overview(server, github, repository(node(1, checks=checks))).open_pulls

    assert pull.checks[0].app_id == 1


def test_one_hundred_and_sixty_pull_requests_are_two_calls(server, github):
    pages(
        server,
        repository(*[node(number) for number in range(1, 101)], cursor="c"),
        {"open": repository(*[node(number) for number in range(101, 161)])["open"]},
    )

    found = READS["overview"](github)

    assert len(found.open_pulls) == 160 and not found.problems
    first, second = (json.loads(seen.body)["variables"] for seen in server.requests)
    assert (first["first"], second["first"], second["after"]) == (True, False, "c")


def test_four_hundred_pull_requests_are_four_calls_at_first_and_one_later(server, github):
    part = [
        {"open": repository(*[node(n) for n in range(k, k + 100)], cursor=f"c{k}")["open"]}
        for k in (101, 201)
    ]
    last = {"open": repository(*[node(n) for n in range(301, 401)])["open"]}
    pages(server, repository(*[node(n) for n in range(1, 101)], cursor="c1"), *part, last)
    cold = READS["overview"](github)
    calls = len(server.requests)

    pages(server, repository(node(1), cursor="next", recent={"nodes": [node(2)]}))
    warm = github.overview(
        staging="staging", production="main", pages=Pages(cursor="c", most=1, recent=True)
    )

    assert (len(cold.open_pulls), calls, cold.listed) == (400, 4, True)
    assert len(server.requests) == calls + 1 and not warm.listed and warm.cursor == "next"
    assert sorted(pull.number for pull in warm.open_pulls) == [1, 2] and warm.closed == (4,)


def test_pages_that_go_round_are_left_and_said(server, github):
    found = overview(server, github, repository(cursor="c"))

    assert found.problems and "repeats pages" in found.problems[0]


@pytest.mark.parametrize("status", [502, 504])
def test_an_answer_that_takes_github_too_long_is_asked_for_in_smaller_pages(server, github, status):
    server.faults.append(Fault("status", status=status))

    READS["overview"](github)

    sizes = [json.loads(seen.body)["variables"]["pageSize"] for seen in server.requests]
    assert sizes == [100, 25]


def test_errors_beside_good_data_leave_checks_unreadable_not_empty(server, github):
    hidden = node(1, rollup=None, checks=None)
    errors = [{"type": "FORBIDDEN", "message": "Resource not accessible", "path": ["repository"]}]

    found = overview(server, github, repository(hidden, node(2)), errors=errors)

    assert found.open_pulls[0].checks is None
    assert found.open_pulls[1].checks is not None
    assert found.problems and "Resource not accessible" in found.problems[0]


def test_a_commit_without_any_check_has_none_and_that_is_readable(server, github):
    found = overview(server, github, repository(node(1, rollup=None, checks=None)))

    assert found.open_pulls[0].checks == () and not found.problems


@pytest.mark.parametrize(
    "checks",
    [
        None,
        {"contexts": None},
        {"contexts": {"pageInfo": {"hasNextPage": True}, "nodes": CHECKS}},
        {"contexts": {"pageInfo": {"hasNextPage": False}, "nodes": [*CHECKS, None]}},
        {"contexts": {"pageInfo": {"hasNextPage": False}, "nodes": [{"__typename": "Novelty"}]}},
    ],
    ids=["null", "no contexts", "more than a page", "a null among them", "a new type"],
)
def test_checks_that_are_not_all_shown_are_none_and_named(server, github, checks):
    found = overview(server, github, repository(node(7, checks=checks)))

    assert found.open_pulls[0].checks is None
    assert found.problems and "#7" in found.problems[0]


def test_a_completed_run_without_conclusion_is_not_green(server, github):
    run = CHECKS[0] | {"conclusion": None}
    checks = {"contexts": {"pageInfo": {"hasNextPage": False}, "nodes": [run]}}

    [pull] = overview(server, github, repository(node(1, checks=checks))).open_pulls

    assert pull.checks[0].state == "unknown"


def test_new_words_survive_in_lower_case(server, github):
    run = CHECKS[0] | {"status": "DREAMING", "conclusion": None}
    checks = {"contexts": {"pageInfo": {"hasNextPage": False}, "nodes": [run]}}

    [pull] = overview(
        server, github, repository(node(1, checks=checks, mergeStateStatus="NEW"))
    ).open_pulls

    assert (pull.checks[0].state, pull.merge_state) == ("dreaming", "new")


def test_a_missing_branch_is_said(server, github):
    found = overview(server, github, repository(staging=None))

    assert found.staging_head is None and found.problems
    assert any("Branch staging does not exist" in problem for problem in found.problems)


@pytest.mark.parametrize(
    "rules",
    [None, {"nodes": [None]}, {"nodes": [{"type": "REQUIRED_STATUS_CHECKS", "parameters": None}]}],
)
def test_rules_that_are_not_shown_are_not_taken_for_no_rules(server, github, rules):
    found = overview(server, github, repository(staging=RULES | {"rules": rules}))

    assert found.rules["staging"] is None and found.problems


def test_a_fork_with_a_branch_called_staging_is_no_promotion_and_the_rest_into_main_is_a_hotfix(
    server, github
):
    fork = node(9, headRefName="staging", baseRefName="main", isCrossRepository=True)
    fix = node(10, headRefName="fix/crash", baseRefName="main")
    promotions = {"pageInfo": {"hasNextPage": False}, "nodes": [fork, fix]}

    found = overview(server, github, repository(promotions=promotions))

    assert found.promotions == () and [pull.number for pull in found.hotfixes] == [9, 10]


def test_who_merged_a_pull_request_and_when_is_told(server, github):
    merged = {
        "merged": True,
        "state": "closed",
        "merged_at": "2026-11-22T10:00:00Z",
        "merged_by": {"login": "ann"},
    }
    answering(server, "/pulls/9", 200, PULL | merged)

    pull = github.pull(9)

    assert (pull.merged_by, pull.merged_at.hour) == ("ann", 10)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"type": "NOT_FOUND", "message": "Could not resolve to a Repository"}, "not_found"),
        ({"type": "FORBIDDEN", "message": "SAML"}, "forbidden"),
        ({"type": "RATE_LIMITED", "message": "API rate limit exceeded"}, "rate_limited"),
        ({"extensions": {"code": "undefinedField"}, "message": "Field 'x'"}, "outdated"),
        ({"message": "Something went wrong. This may be the result of a timeout"}, "unavailable"),
        ({}, "malformed"),
    ],
)
def test_an_answer_without_the_repository_says_why(server, github, error, kind):
    server.app = lambda request: Response(200, {"data": {"repository": None}, "errors": [error]})

    with pytest.raises(ApiError) as caught:
        READS["overview"](github)

    assert caught.value.kind == kind


NAMED = {
    "state": "OPEN",
    "reviewThreads": {"totalCount": 2, "nodes": [{"isResolved": True}, {"isResolved": False}]},
    "commits": {"totalCount": 1, "nodes": [{"commit": {"signature": {"isValid": True}}}]},
}


def named(server, github, **other):
    """Pull request 9 asked for by number, as the overview read it; None when it could not."""
    contexts = {"totalCount": 2, "nodes": CHECKS}
    more = {"all": {"contexts": contexts, "last": {"nodes": CHECKS}}} | NAMED | other
    answer = repository(named9=node(9, headRefName="staging", baseRefName="main", **more))
    server.app = lambda request: Response(200, {"data": {"repository": answer}})
    return next(
        iter(github.overview(staging="staging", production="main", numbers=[9]).named), None
    )


def test_a_pull_request_asked_for_by_number_tells_what_its_merge_takes(server, github):
    pull = named(server, github)

    assert (pull.state, pull.merging.unresolved, pull.merging.unsigned) == ("open", 1, 0)
    assert [check.name for check in pull.checks] == ["tests", "release-portal"]


def test_up_to_two_hundred_checks_are_read_from_both_ends(server, github):
    runs = [CHECKS[0] | {"name": f"job {number}"} for number in range(120)]
    part = {"contexts": {"totalCount": 120, "nodes": runs[:100]}, "last": {"nodes": runs[20:]}}

    pull = named(server, github, all=part)
    more = named(
        server,
        github,
        all={"contexts": part["contexts"] | {"totalCount": 220}, "last": part["last"]},
    )

    assert [check.name for check in pull.checks] == [run["name"] for run in runs]
    assert more.checks is None


@pytest.mark.parametrize(
    "other",
    [
        {"reviewThreads": {"totalCount": 101, "nodes": [{"isResolved": True}] * 100}},
        {"reviewThreads": {"totalCount": 1, "nodes": [None]}},
        {"reviewThreads": None},
        {"reviewThreads": {"totalCount": 1, "nodes": []}},
    ],
)
def test_conversations_that_are_not_all_shown_are_not_resolved(server, github, other):
    assert named(server, github, **other).merging.unresolved is None


def test_a_pull_request_asked_for_and_not_shown_is_said(server, github):
    server.app = lambda request: Response(200, {"data": {"repository": repository(named9=None)}})

    found = github.overview(staging="staging", production="main", numbers=[9])

    assert found.named == () and found.problems and "#9" in found.problems[0]


# Single reads


def test_a_trial_merge_is_not_taken_for_the_merge(server, github):
    unmerged = github.pull(9)
    answering(
        server,
        "/pulls/9",
        200,
        PULL | {"state": "closed", "merged": True, "merge_commit_sha": MERGE},
    )

    assert (unmerged.merged, unmerged.merge_commit) == (False, None)
    assert github.pull(9).merge_commit == MERGE


def test_a_pull_request_found_is_the_one_asked_for(server, github):
    assert github.find_pull(head="staging", base="main").number == 9
    assert github.find_pull(head="other", base="main") is None
    assert server.requests[0].path == "/repos/acme/x/pulls"


def test_a_branch_that_is_not_there_is_none_but_a_hidden_repository_is_an_error(server, github):
    answering(server, "/git/ref/", 404, {"message": "Not Found"})
    with pytest.raises(ApiError) as caught:
        github.branch_head("staging")
    server.app = lambda request: Response(
        *((404, {}) if "/git/" in request.path else (200, {"id": 1}))
    )

    assert caught.value.kind == "not_found"
    assert github.branch_head("staging") is None


def test_checks_are_read_page_by_page(server, github):
    def paged(request: Request) -> Response:
        if "check-runs" not in request.path:
            return app(request)
        more = (
            {"Link": '<https://elsewhere.example/2>; rel="next"'}
            if request.query["page"] == "1"
            else {}
        )
        return Response(200, {"check_runs": [RUN]}, more)

    server.app = paged

    assert [check.name for check in github.checks(HEAD)] == ["tests", "tests", "release-portal"]


def test_without_check_runs_the_jobs_stand_in(server, github):
    answering(
        server, "/check-runs", 403, {"message": "Resource not accessible by personal access token"}
    )

    checks = github.checks(HEAD)

    assert [(check.name, check.state) for check in checks] == [
        ("tests", "failure"),
        ("release-portal", "pending"),
    ]


def test_without_jobs_either_the_checks_are_none(server, github):
    server.app = lambda request: Response(
        403, {"message": "Resource not accessible by integration"}
    )

    assert github.checks(HEAD) is None


def test_an_unchanged_answer_is_asked_for_conditionally_and_kept_per_token(server):
    def tagged(request: Request) -> Response:
        asked = request.headers.get("if-none-match")
        return Response(304) if asked == '"1"' else Response(200, PULL, {"ETag": '"1"'})

    server.app = tagged
    kept = Recent()
    one = GitHub("acme/x", api_url=server.url, token=TOKEN, kept=kept)
    two = GitHub("acme/x", api_url=server.url, token=TOKEN + "x", kept=kept)

    pulls = [one.pull(9), one.pull(9), two.pull(9)]

    assert len(set(pulls)) == 1
    assert [seen.status for seen in server.requests] == [200, 304, 200]


def test_kept_answers_are_bounded():
    kept = Recent()
    for number in range(1000):
        kept[str(number)] = ("e", None)

    assert len(kept) == 256 and "999" in kept


# Writes


def test_a_merge_is_a_merge_commit_of_the_expected_head(server, github):
    assert WRITES["merge"](github) == MERGE
    assert json.loads(server.requests[0].body) == {
        "sha": HEAD,
        "merge_method": "merge",
        "commit_title": "Release",
    }


@pytest.mark.parametrize(
    ("name", "path", "status", "message", "kind"),
    [
        (
            "merge",
            "/merge",
            409,
            "Head branch was modified. Review and try the merge again.",
            "conflict",
        ),
        (
            "merge",
            "/merge",
            405,
            "Base branch was modified. Review and try the merge again.",
            "unavailable",
        ),
        ("merge", "/merge", 405, "Pull Request is not mergeable", "refused"),
        ("merge", "/merge", 422, "Required status check is expected", "refused"),
        ("merge", "/merge", 403, "Resource not accessible by integration", "forbidden"),
        ("merge", "/merge", 404, "Not Found", "not_found"),
        ("merge", "/merge", 401, "Bad credentials", "unauthorized"),
        ("merge", "/merge", 301, "Moved Permanently", "not_found"),
        ("fast_forward", "/git/refs", 422, "Update is not a fast forward", "conflict"),
        (
            "fast_forward",
            "/git/refs",
            422,
            "Changes must be made through a pull request.",
            "refused",
        ),
        ("fast_forward", "/git/refs", 422, "Object does not exist", "refused"),
        ("open_pull", "/pulls", 422, "No commits between main and staging", "refused"),
        ("set_status", "/statuses", 422, "This SHA and context has reached its limit", "refused"),
        ("create_deployment", "/deployments", 409, "Conflict merging main", "conflict"),
    ],
)
def test_refusals_are_told_apart_by_status_and_words(
    server, github, name, path, status, message, kind
):
    answering(
        server, path, status, {"message": "Validation Failed", "errors": [{"message": message}]}
    )

    with pytest.raises(ApiError) as caught:
        WRITES[name](github)

    assert caught.value.kind == kind
    assert caught.value.sentence.endswith(".")
    assert kind not in {"refused", "forbidden"} or message in caught.value.sentence
    assert len(server.requests) == 1


def test_a_pull_request_that_exists_already_is_returned(server, github):
    refused = {
        "message": "Validation Failed",
        "errors": [{"message": "A pull request already exists for …"}],
    }
    server.app = lambda request: (
        Response(422, refused) if request.method == "POST" else app(request)
    )

    assert WRITES["open_pull"](github).number == 9


def test_a_description_is_cut_to_what_github_takes(server, github):
    WRITES["set_status"](github)

    assert len(json.loads(server.requests[0].body)["description"]) == 140


def test_a_deployment_announced_merges_nothing_and_waits_for_nothing(server, github):
    WRITES["create_deployment"](github)

    sent = json.loads(server.requests[0].body)
    assert sent["auto_merge"] is False and sent["required_contexts"] == []


@pytest.mark.parametrize(
    "name", ["", "a b", "../x", "a..b", "-x", "x.lock", "a~1", "a:b", "a\n", "/a", "a?", "@{u}x"]
)
def test_what_git_calls_no_branch_is_refused_before_any_call(server, github, name):
    with pytest.raises(ApiError):
        github.branch_head(name)
    with pytest.raises(ApiError):
        github.fast_forward(name, HEAD)

    assert server.requests == []


@pytest.mark.parametrize(
    "name", ["acme", "acme/", "/x", "a/b/c", "a b/c", "acme/..", "", "acme/x?y"]
)
def test_what_is_no_repository_is_refused(name):
    with pytest.raises(ApiError, match="owner/name"):
        GitHub(name, token=TOKEN)


# Faults


@pytest.mark.parametrize(
    "fault",
    [
        Fault("status", status=500),
        Fault("status", status=429, headers={"Retry-After": "1"}),
        Fault("html"),
        Fault("truncated"),
        Fault("drop"),
        Fault("refuse"),
    ],
    ids=lambda fault: f"{fault.kind}{fault.status}",
)
@pytest.mark.parametrize("name", READS)
def test_a_read_survives_a_passing_fault(server, github, name, fault):
    calm = READS[name](github)
    server.faults.append(Fault(**vars(fault)))

    assert READS[name](github) == calm


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault("status", status=502), "unavailable"),
        (Fault("status", status=429), "rate_limited"),
        (
            Fault("status", status=403, message="You have exceeded a secondary rate limit"),
            "rate_limited",
        ),
        (Fault("status", status=403, headers={"X-RateLimit-Remaining": "0"}), "rate_limited"),
        (Fault("status", status=401), "unauthorized"),
        (Fault("status", status=202), "malformed"),
        (Fault("status", status=301, headers={"Location": "/elsewhere"}), "not_found"),
        (Fault("html"), "malformed"),
        (Fault("truncated"), "malformed"),
        (Fault("drop"), "unavailable"),
    ],
    ids=lambda value: f"{value.kind}{value.status}" if isinstance(value, Fault) else value,
)
@pytest.mark.parametrize("name", READS)
def test_a_read_under_a_lasting_fault_is_an_error_of_its_kind(server, github, name, fault, kind):
    server.faults.append(Fault(**vars(fault) | {"times": 99}))

    with pytest.raises(ApiError) as caught:
        READS[name](github)

    assert caught.value.kind == kind
    assert len(server.requests) <= 4


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault("status", status=500), "unknown_outcome"),
        (Fault("status", status=429), "rate_limited"),
        (Fault("status", status=202), "unknown_outcome"),
        (Fault("html"), "unknown_outcome"),
        (Fault("truncated"), "unknown_outcome"),
        (Fault("drop"), "unknown_outcome"),
        (Fault("refuse"), "unknown_outcome"),
    ],
    ids=lambda value: f"{value.kind}{value.status}" if isinstance(value, Fault) else value,
)
@pytest.mark.parametrize("name", WRITES)
def test_a_write_is_never_sent_twice_and_never_believed_without_an_answer(
    server, github, name, fault, kind
):
    server.faults.append(Fault(**vars(fault) | {"times": 99}))

    with pytest.raises(ApiError) as caught:
        WRITES[name](github)

    assert caught.value.kind == kind
    assert len(server.requests) == 1


def test_a_rate_limit_says_how_long_to_wait(server, github):
    github.transport.clock = lambda: 1000.0
    answering(server, "/pulls/9", 403, {}, x_ratelimit_remaining="0", x_ratelimit_reset="1600")

    with pytest.raises(ApiError) as caught:
        github.pull(9)

    assert caught.value.retry_after == 600


def test_a_missing_permission_is_named(server, github):
    message = {"message": "Resource not accessible by integration"}
    answering(server, "/pulls/9", 403, message, x_accepted_github_permissions="pull_requests=read")

    with pytest.raises(ApiError, match="pull_requests=read"):
        github.pull(9)


def test_the_token_shows_in_no_error_even_if_github_repeats_it(server, github):
    answering(server, "/pulls/9", 401, {"message": f"Bad credentials {TOKEN}"})

    with pytest.raises(ApiError) as caught:
        github.pull(9)

    assert TOKEN not in caught.value.sentence + caught.value.detail


# Answers gone bad


KEYS = {
    "pull": "GET /repos/acme/x/pulls/9",
    "find_pull": "GET /repos/acme/x/pulls",
    "compare": "GET /repos/acme/x/compare/staging...main",
    "branch_head": "GET /repos/acme/x/git/ref/heads/staging",
    "checks": f"GET /repos/acme/x/commits/{HEAD}/check-runs",
    "status": f"GET /repos/acme/x/commits/{HEAD}/status",
    "find_comment": "GET /repos/acme/x/issues/9/comments",
    "merge": "PUT /repos/acme/x/pulls/9/merge",
    "fast_forward": "PATCH /repos/acme/x/git/refs/heads/staging",
    "open_pull": "POST /repos/acme/x/pulls",
    "set_status": f"POST /repos/acme/x/statuses/{HEAD}",
    "comment": "POST /repos/acme/x/issues/9/comments",
}


@pytest.mark.parametrize("name", KEYS)
def test_an_answer_gone_bad_is_an_error_or_a_value_never_a_crash(server, github, name):
    method, path = KEYS[name].split()
    for place, body in mutations(GOOD[KEYS[name]]):
        server.app = lambda request, body=body: (
            Response(200, body)
            if (request.method, request.path) == (method, path)
            else app(request)
        )
        try:
            (READS | WRITES)[name](github)
        except ApiError as error:
            assert error.kind == ("unknown_outcome" if name in WRITES else "malformed"), place


def test_a_merge_is_believed_only_with_its_commit(server, github):
    for place, body in mutations(GOOD[KEYS["merge"]]):
        answering(server, "/merge", 200, body)
        if place == ("message",):
            continue
        if body.get("merged") is True and body.get("sha") == MERGE:
            continue
        with pytest.raises(ApiError):
            WRITES["merge"](github)


@pytest.mark.slow
def test_an_overview_gone_bad_anywhere_shows_no_check_green_that_is_not(server, github):
    """Whatever is lost, the required check is green only where its green answer stands whole."""
    for place, data in mutations(repository()):
        try:
            found = overview(server, github, data)
        except ApiError as error:
            assert error.kind == "malformed", place
            continue
        if found.problems:
            continue
        assert found.staging_head and found.production_head, place
        assert all(found.rules.values()), place
        assert all(pull.checks is not None for pull in found.open_pulls), place
        if "checks" in place:
            continue
        [pull] = found.open_pulls or [None]
        assert pull is None or [check.state for check in pull.checks] == ["success", "pending"], (
            place
        )
