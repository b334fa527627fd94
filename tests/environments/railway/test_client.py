import json
import time
from pathlib import Path

import pytest
import stamina
from graphql import build_schema, parse, validate

from environments.railway import Railway, batch, request_counts
from environments.railway.transport import DOCUMENTS, document, fragment
from portal.outbound.http import ApiError
from portal.sandbox.server import Fault, Request, Response, Server
from tests.environments.mutation import changed, mutations

SCHEMA = Path(__file__).resolve().parents[3] / "../shared/railway/schema.graphql"
NAMES = sorted(path.stem for path in DOCUMENTS.glob("*.graphql") if not path.stem.startswith("_"))
COMMIT = "a" * 40
DEPLOYMENT = {
    "id": "d1",
    "projectId": "p",
    "environmentId": "e1",
    "serviceId": "s1",
    "status": "SUCCESS",
    "statusUpdatedAt": "2026-11-22T10:00:00Z",
    "createdAt": "2026-11-22T09:59:00Z",
    "deploymentStopped": False,
    "canRedeploy": True,
    "canRollback": True,
    "url": "api-production.up.railway.app",
    "meta": {
        "commitHash": COMMIT,
        "branch": "main",
        "commitMessage": "Say\nhello",
        "repo": "acme/x",
    },
    "instances": [{"id": "i", "status": "RUNNING"}],
}
LAST = {"hasNextPage": False, "endCursor": "z"}


def edges(*nodes: dict, page: dict = LAST) -> dict:
    return {"edges": [{"node": node} for node in nodes], "pageInfo": page}


def instance(number: int, **other) -> dict:
    return {
        "id": f"si{number}",
        "serviceId": f"s{number}",
        "serviceName": "backend",
        "environmentId": "e1",
        "source": {"repo": "acme/x", "image": None},
        "rootDirectory": None,
        "healthcheckPath": "/health",
        "domains": {
            "serviceDomains": [
                {"id": "x", "domain": "a.b", "targetPort": 1, "syncStatus": "ACTIVE"}
            ],
            "customDomains": [],
        },
        "latestDeployment": DEPLOYMENT,
        "activeDeployments": [DEPLOYMENT],
    } | other


def trigger(number: int) -> dict:
    return {
        "id": f"t{number}",
        "serviceId": f"s{number}",
        "provider": "github",
        "repository": "acme/x",
        "branch": "main",
        "checkSuites": True,
    }


def service(number: int, **other) -> dict:
    return {"id": f"s{number}", "name": "backend", "icon": None, "deletedAt": None} | other


def environment(name: str, **other) -> dict:
    return {
        "id": name,
        "name": name,
        "canAccess": True,
        "isEphemeral": False,
        "createdAt": "2026-11-22T09:59:00Z",
        "deletedAt": None,
        "sourceEnvironment": None,
        "meta": None,
        "deploymentTriggers": edges(trigger(1)),
        "serviceInstances": edges(instance(1)),
    } | other


def project(*environments: dict, **other) -> dict:
    return {
        "id": "p",
        "name": "inspector",
        "workspaceId": None,
        "services": edges(service(1)),
        "environments": edges(*(environments or [environment("production")])),
    } | other


GOOD = {
    "ProjectTree": {"project": project()},
    "DeploymentDetail": {"deployment": DEPLOYMENT},
    "DeploymentHistory": {"deployments": edges(DEPLOYMENT)},
    "BuildLog": {
        "lines": [{"timestamp": "2026-11-22T10:00:00Z", "severity": "info", "message": "built"}]
    },
    "DeployLog": {"lines": [{"timestamp": None, "severity": None, "message": "up"}]},
    "VariablesMap": {"variables": {"URL": "postgres://secret", "SEALED": None}},
    "NotificationRules": {
        "notificationRules": [
            {
                "id": "r1",
                "projectId": "p",
                "eventTypes": ["Deployment.deployed"],
                "ephemeralEnvironments": True,
                "channels": [{"config": {"type": "webhook", "url": "https://p/hook"}}],
            }
        ]
    },
    "AddNotificationRule": {"notificationRuleCreate": {"id": "r2"}},
    "ChangeNotificationRule": {"notificationRuleUpdate": {"id": "r1"}},
    "DeployCommit": {"serviceInstanceDeployV2": "d2"},
    "Redeploy": {"deploymentRedeploy": {"id": "d2"}},
    "RollBack": {"deploymentRollback": True},
    "SetTriggerBranch": {"deploymentTriggerUpdate": {"id": "t1", "branch": "main"}},
    "PushDeploys": {
        "serviceInstanceAutoDeployStatus": {"enabled": True, "canEnable": True, "reason": None}
    },
    "SetAutoDeploy": {"serviceInstanceAutoDeployUpdate": {"enabled": False}},
    "AutoDeploy": {"serviceInstanceAutoDeployStatus": {"enabled": True}},
    "CreateEnvironment": {"environmentCreate": {"id": "e9", "name": "pr-9"}},
    "DeleteEnvironment": {"environmentDelete": True},
    "SetVariables": {"variableCollectionUpsert": True},
    "DeployAsIs": {"serviceInstanceDeployV2": "d3"},
    "ChangesInProgress": {
        "environmentStagedChanges": {"id": "x", "status": "COMMITTED", "lastAppliedError": None}
    },
}
READS = {
    "ProjectTree": lambda railway: railway.project("p"),
    "DeploymentDetail": lambda railway: railway.deployment("d1"),
    "DeploymentHistory": lambda railway: railway.deployments("p", "e1", "s1"),
    "BuildLog": lambda railway: railway.build_log("d1"),
    "DeployLog": lambda railway: railway.deployment_log("d1"),
    "VariablesMap": lambda railway: railway.variables("p", "e1", "s1", unrendered=True),
    "NotificationRules": lambda railway: railway.rules("w", "p"),
    "PushDeploys": lambda railway: railway.push_deploys("p", "e1", "s1"),
    "ChangesInProgress": lambda railway: railway.being_changed("e1"),
}
WRITES = {
    "CreateEnvironment": lambda railway: railway.create_environment("p", "pr-9", source="e1"),
    "DeleteEnvironment": lambda railway: railway.delete_environment("e1"),
    "SetVariables": lambda railway: railway.set_variables("p", "e1", "s1", {"A": "1"}),
    "DeployAsIs": lambda railway: railway.deploy_as_is("e1", "s1"),
    "DeployCommit": lambda railway: railway.deploy_commit("e1", "s1", COMMIT),
    "Redeploy": lambda railway: railway.redeploy("d1"),
    "RollBack": lambda railway: railway.rollback("d1"),
    "SetTriggerBranch": lambda railway: railway.set_trigger_branch("t1", "main"),
    "SetAutoDeploy": lambda railway: railway.set_autodeploy("p", "e1", "s1", enabled=False),
    "AddNotificationRule": lambda railway: railway.add_rule(
        "w", "p", "https://p/hook", ["Deployment.deployed"]
    ),
    "ChangeNotificationRule": lambda railway: railway.change_rule(
        "r1", "https://p/hook", ["Deployment.deployed"]
    ),
}
READS_AND_WRITES = READS | WRITES


@pytest.fixture(autouse=True)
def no_waiting():
    with stamina.set_testing(True, attempts=3, cap=True):
        yield


def app(request: Request) -> Response:
    found = next(name for name in GOOD if f" {name}(" in request.json()["query"])
    return Response(200, {"data": GOOD[found]})


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
def railway(server):
    return Railway(token="t0ken-of-railway", api_url=server.url)


def answering(server: Server, body: object, status: int = 200) -> None:
    server.app = lambda request: Response(status, body)


def error(message: str, code: str = "INTERNAL_SERVER_ERROR") -> dict:
    return {"errors": [{"message": message, "extensions": {"code": code}}], "data": None}


@pytest.mark.official
@pytest.mark.parametrize("name", NAMES)
def test_every_document_is_valid_by_the_official_schema(name):
    if not SCHEMA.exists():
        pytest.skip("the official Railway schema (../shared/railway/schema.graphql) is not here")

    faults = validate(_schema(), parse(document(name)))

    assert faults == []


def _schema(kept: list = []):  # noqa: B006  (built once)
    if not kept:
        kept.append(build_schema(SCHEMA.read_text()))
    return kept[0]


@pytest.mark.official
@pytest.mark.parametrize("name", READS_AND_WRITES)
def test_every_variable_sent_is_one_the_document_declares(server, railway, name):
    if not SCHEMA.exists():
        pytest.skip("the official Railway schema (../shared/railway/schema.graphql) is not here")
    from graphql.execution.values import get_variable_values

    READS_AND_WRITES[name](railway)

    sent = json.loads(server.requests[0].body)
    declared = parse(sent["query"]).definitions[0].variable_definitions
    assert set(sent["variables"]) <= {definition.variable.name.value for definition in declared}
    assert not isinstance(get_variable_values(_schema(), declared, sent["variables"]), list)


def test_a_project_is_one_call(server, railway):
    tree = railway.project("p")

    [found] = tree.environments
    assert len(server.requests) == 1
    assert tree.complete and tree.problems == ()
    assert found.branch_of("s1") == "main"
    assert found.instances[0].latest_deployment.commit == COMMIT
    assert found.instances[0].domains[0].domain == "a.b"


def test_further_pages_are_followed_only_where_railway_says_so(server, railway):
    more = {"hasNextPage": True, "endCursor": "c"}
    first = environment("staging", serviceInstances=edges(instance(1), page=more))
    pages = [
        {"project": project(services=edges(page=more), environments=edges(first, page=more))},
        {"environment": {"serviceInstances": edges(instance(2))}},
        {"project": project(environment("production"), services=edges(service(1), service(2)))},
    ]
    server.app = lambda request: Response(200, {"data": pages.pop(0)})

    tree = railway.project("p")

    assert [found.name for found in tree.environments] == ["staging", "production"]
    assert [found.service_id for found in tree.environments[0].instances] == ["s1", "s2"]
    assert [service.id for service in tree.services] == ["s1", "s2"]
    assert tree.complete and len(server.requests) == 3


def test_pages_without_end_are_left_and_said(server, railway):
    endless = project(
        environments=edges(environment("e"), page={"hasNextPage": True, "endCursor": "c"})
    )
    answering(server, {"data": {"project": endless}})

    tree = railway.project("p")

    assert not tree.complete and "more services or environments" in tree.problems[0]


def test_a_closed_environment_is_marked_and_the_rest_is_kept(server, railway):
    closed = environment("secret", canAccess=False)
    answering(server, {"data": {"project": project(closed, environment("production"))}})

    tree = railway.project("p")

    assert [found.readable for found in tree.environments] == [False, True]
    assert not tree.complete and "secret" in tree.problems[0]


def test_errors_beside_data_keep_what_is_good_and_say_what_is_not(server, railway):
    answering(server, error("Not Authorized") | {"data": {"project": project()}})

    tree = railway.project("p")

    assert tree.environments and not tree.complete


def test_deleted_things_are_left_out(server, railway):
    gone = environment("old", deletedAt="2026-01-01T00:00:00Z")
    answering(server, {"data": {"project": project(gone, environment("production"))}})

    assert [found.name for found in railway.project("p").environments] == ["production"]


def test_new_enum_values_survive(server, railway):
    answering(server, {"data": {"deployment": DEPLOYMENT | {"status": "HIBERNATING"}}})

    assert railway.deployment("d1").status == "HIBERNATING"


def test_a_deployment_without_a_commit_has_none(server, railway):
    for meta in [None, {}, [], "x", {"commitHash": 7}, {"commitHash": "main"}]:
        answering(server, {"data": {"deployment": DEPLOYMENT | {"meta": meta}}})

        assert railway.deployment("d1").commit is None


def test_sealed_variables_are_none_and_values_never_show(railway):
    found = railway.variables("p", "e1", None, unrendered=True)

    assert found["SEALED"] is None
    assert found["URL"].reveal() == "postgres://secret"
    assert "secret" not in repr(found)


def test_what_is_not_set_is_left_out_of_the_variables(server, railway):
    railway.variables("p", "e1", None, unrendered=False)

    assert "serviceId" not in json.loads(server.requests[0].body)["variables"]


def test_a_log_has_no_more_lines_than_asked_for(server, railway):
    lines = [{"timestamp": None, "severity": "", "message": str(number)} for number in range(4)]
    answering(server, {"data": {"lines": lines}})

    assert [line.message for line in railway.build_log("d1", limit=3)] == ["1", "2", "3"]


# Faults


PASSING = [
    Fault("status", times=1, status=502),
    Fault("status", times=1, status=429, headers={"Retry-After": "1"}),
    Fault("html", times=1),
    Fault("truncated", times=1),
    Fault("graphql", times=1),
    Fault("drop", times=1),
    Fault("refuse", times=1),
]


@pytest.mark.parametrize("fault", PASSING, ids=lambda fault: f"{fault.kind}{fault.status}")
@pytest.mark.parametrize("name", READS)
def test_a_read_survives_a_passing_fault(server, railway, name, fault):
    server.faults.append(Fault(**vars(fault)))

    READS[name](railway)

    assert len(server.requests) == 2


LASTING = [
    (Fault("status", status=502), "unavailable"),
    (Fault("status", status=429), "rate_limited"),
    (Fault("html"), "malformed"),
    (Fault("truncated"), "malformed"),
    (Fault("graphql"), "unavailable"),
    (Fault("drop"), "unavailable"),
    (Fault("status", status=401), "unauthorized"),
    (Fault("status", status=404), "refused"),
    (Fault("graphql", message="Not Authorized"), "forbidden"),
]


@pytest.mark.parametrize(
    ("fault", "kind"), LASTING, ids=lambda value: getattr(value, "kind", value)
)
@pytest.mark.parametrize("name", READS)
def test_a_read_under_a_lasting_fault_is_an_error_of_its_kind(server, railway, name, fault, kind):
    server.faults.append(Fault(**vars(fault) | {"times": 99}))

    with pytest.raises(ApiError) as caught:
        READS[name](railway)

    assert caught.value.kind == kind
    assert len(server.requests) <= 3


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault("status", status=502), "unknown_outcome"),
        (Fault("status", status=429), "rate_limited"),
        (Fault("html"), "unknown_outcome"),
        (Fault("truncated"), "unknown_outcome"),
        (Fault("graphql"), "unknown_outcome"),
        (Fault("drop"), "unknown_outcome"),
        (Fault("graphql", message="Not Authorized"), "forbidden"),
    ],
    ids=lambda value: getattr(value, "kind", value),
)
@pytest.mark.parametrize("name", WRITES)
def test_a_write_is_never_sent_twice_and_never_believed_without_an_answer(
    server, railway, name, fault, kind
):
    server.faults.append(Fault(**vars(fault) | {"times": 99}))

    with pytest.raises(ApiError) as caught:
        WRITES[name](railway)

    assert caught.value.kind == kind
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("message", "code", "kind"),
    [
        ("Not Authorized", "INTERNAL_SERVER_ERROR", "forbidden"),
        ("Unauthorized. Please login with `railway login`", "", "unauthorized"),
        ("Project Token not found", "INTERNAL_SERVER_ERROR", "wrong_header"),
        ("Two Factor Authentication Required", "", "forbidden"),
        ("Problem processing request", "INTERNAL_SERVER_ERROR", "unavailable"),
        ('Cannot query field "x" on type "Project".', "GRAPHQL_VALIDATION_FAILED", "outdated"),
        ("Invalid id", "BAD_USER_INPUT", "refused"),
        ("Deployment not found", "INTERNAL_SERVER_ERROR", "not_found"),
        ("You are creating environments too quickly. This workspace allows 1 …", "", "too_quickly"),
        ("Only one environment can be created per user every 30s", "", "too_quickly"),
    ],
)
@pytest.mark.parametrize("status", [200, 400])
def test_failures_are_told_apart_by_their_words_whatever_the_status(
    server, railway, message, code, kind, status
):
    answering(server, error(message, code), status)

    with pytest.raises(ApiError) as caught:
        railway.deployment("d1")

    assert caught.value.kind == kind
    assert caught.value.sentence.endswith(".")


def test_not_authorized_names_both_readings(server, railway):
    answering(server, error("Not Authorized"))

    with pytest.raises(ApiError, match="may not do this, or the thing does not exist"):
        railway.deployment("d1")


def test_too_quickly_says_how_long_to_wait(server, railway):
    answering(server, error("You are creating environments too quickly."))

    with pytest.raises(ApiError) as caught:
        railway.redeploy("d1")

    assert caught.value.retry_after == 35


def test_a_rollback_that_railway_denies_is_refused(server, railway):
    answering(server, {"data": {"deploymentRollback": False}})

    with pytest.raises(ApiError) as caught:
        railway.rollback("d1")

    assert caught.value.kind == "refused"


def test_a_write_whose_answer_names_something_else_is_not_believed(server, railway):
    answering(server, {"data": {"deploymentTriggerUpdate": {"id": "t1", "branch": "other"}}})

    with pytest.raises(ApiError) as caught:
        railway.set_trigger_branch("t1", "main")

    assert caught.value.kind == "unknown_outcome"


def test_an_incomplete_commit_is_refused_before_any_call(server, railway):
    with pytest.raises(ApiError):
        railway.deploy_commit("e1", "s1", "main")

    assert server.requests == []


def test_the_token_shows_in_no_error_even_if_railway_repeats_it(server, railway):
    answering(server, error("bad token t0ken-of-railway"))

    with pytest.raises(ApiError) as caught:
        railway.deployment("d1")

    assert "t0ken" not in caught.value.sentence + caught.value.detail


# Answers gone bad


@pytest.mark.parametrize("name", ["DeploymentDetail", "DeploymentHistory", "BuildLog", *WRITES])
def test_an_answer_gone_bad_is_an_error_or_a_value_never_a_crash(server, railway, name):
    for path, data in mutations(GOOD[name]):
        answering(server, {"data": data})
        try:
            READS_AND_WRITES[name](railway)
        except ApiError as error:
            assert error.kind in {"malformed", "unknown_outcome", "refused"}, path
            assert name not in WRITES or error.kind != "malformed", path


@pytest.mark.slow
def test_a_tree_gone_bad_anywhere_is_never_taken_for_a_whole_one(server, railway):
    for path, data in mutations({"project": project()}):
        answering(server, {"data": data})
        try:
            tree = railway.project("p")
        except ApiError as error:
            assert error.kind == "malformed", path
            continue
        assert not tree.complete or _whole(tree) or _may_be(path, data), path


def _whole(tree) -> bool:
    """Whether every part of the good tree is still there, its deployment with status and all."""
    [found] = tree.environments or [None]
    if not (tree.services and found and found.readable and found.triggers and found.instances):
        return False
    if found.instances[0].service_id != tree.services[0].id:
        return False
    deployments = (found.instances[0].latest_deployment, *found.instances[0].active_deployments)
    return all(deployment and deployment.status != "UNKNOWN" for deployment in deployments)


def _may_be(path: tuple, data: dict) -> bool:
    """Whether Railway may answer this by its own schema: nothing there, or something deleted."""
    parent = data
    for key in path[:-1]:
        parent = parent[key]
    if isinstance(parent, list):
        return path[-2] in {"edges", "activeDeployments"} and len(parent) == 0
    value = parent.get(path[-1])
    return (
        (path[-1] in {"edges", "activeDeployments"} and value == [])
        or (path[-1] == "latestDeployment" and value is None)
        or (path[-1] == "deletedAt" and isinstance(value, str))
    )


def test_half_of_the_instances_is_not_the_environment(server, railway):
    broken = environment("production", serviceInstances=edges(instance(1), instance(2, id=None)))
    answering(server, {"data": {"project": project(broken)}})

    tree = railway.project("p")

    assert not tree.complete and not tree.environments[0].readable


@pytest.mark.parametrize("service", ["", "another"])
def test_an_instance_of_no_service_of_the_project_makes_the_reading_incomplete(
    server, railway, service
):
    stray = environment("production", serviceInstances=edges(instance(1, serviceId=service)))
    answering(server, {"data": {"project": project(stray)}})

    tree = railway.project("p")

    assert tree.problems == (
        "Environment production has an instance of a service that the project does not name.",
    )


def test_an_instance_that_lingers_after_its_service_was_deleted_is_nothing_odd(server, railway):
    deleted = service(1, deletedAt="2026-01-01T00:00:00Z")
    answering(server, {"data": {"project": project(services=edges(deleted))}})

    assert railway.project("p").complete


def test_a_deployment_without_status_leaves_its_instance_unreadable(server, railway):
    bad = instance(1, latestDeployment=DEPLOYMENT | {"status": None})
    path = ("project", "environments", "edges", 0, "node", "serviceInstances", "edges", 0, "node")
    answering(server, {"data": changed({"project": project()}, path, bad)})

    [found] = railway.project("p").environments[0].instances

    assert not found.readable and found.latest_deployment is None


# The token


def token_server(server: Server, bearer: tuple[str, ...], project_header: bool) -> None:
    good = {
        "TokenWorkspaces": {"apiToken": {"workspaces": [{"id": "w", "name": "Acme"}]}},
        "TokenAccount": {"me": {"id": "u"}},
        "TokenProject": {
            "projectToken": {
                "projectId": "p",
                "environmentId": "e",
                "project": {"name": "inspector"},
                "environment": {"name": "production"},
            }
        },
    }

    def app(request: Request) -> Response:
        query = request.json()["query"]
        name = next(name for name in good if f" {name} " in query)
        known = (
            "project-access-token" in request.headers if name == "TokenProject" else name in bearer
        )
        allowed = project_header if name == "TokenProject" else True
        return Response(200, {"data": good[name]} if known and allowed else error("Not Authorized"))

    server.app = app


@pytest.mark.parametrize(
    ("bearer", "project_header", "kind", "calls"),
    [
        (("TokenWorkspaces", "TokenAccount"), False, "account", 2),
        (("TokenWorkspaces",), False, "workspace", 2),
        ((), True, "project", 2),
        ((), False, "unknown", 2),
    ],
)
def test_the_kind_of_a_token_is_found_by_asking(
    server, railway, bearer, project_header, kind, calls
):
    token_server(server, bearer, project_header)

    report = railway.token_kind()

    assert report.kind == kind
    assert report.sentence.endswith(".")
    assert len(server.requests) == calls


def test_an_outage_is_not_taken_for_a_bad_token(server, railway):
    server.faults.append(Fault("status", times=99, status=503))

    with pytest.raises(ApiError) as caught:
        railway.token_kind()

    assert caught.value.kind == "unavailable"


def test_a_project_token_goes_into_its_own_header(server):
    seen = {}
    server.app = lambda request: (
        seen.update(request.headers) or Response(200, {"data": GOOD["DeploymentDetail"]})
    )

    Railway(token="t0ken", api_url=server.url, kind="project").deployment("d1")

    assert seen["project-access-token"] == "t0ken" and "authorization" not in seen


# Many questions in one request


def _answering_places(server: Server, known: dict[str, dict]) -> None:
    """Answers documents of `environments.railway.batch`, and single questions; what is not
    `known` is refused.
    """

    def answer(request: Request) -> Response:
        given = request.json()["variables"]
        if "environmentId" in given:
            found = {"variables": known.get(given.get("serviceId") or "shared")}
        else:
            count = sum(key.startswith("e") for key in given)
            found = {f"p{n}": known.get(given.get(f"s{n}") or "shared") for n in range(count)}
        return Response(200, error("Not Authorized") if None in found.values() else {"data": found})

    server.app = answer


def test_variables_of_many_places_are_one_request_for_sixty(server, railway):
    _answering_places(server, {f"s{n}": {"N": str(n), "SEALED": None} for n in range(70)})

    read = railway.variables_of("p", [("e1", f"s{n}") for n in range(70)], unrendered=True)

    assert len(server.requests) == 2
    assert read["e1", "s69"]["N"].reveal() == "69" and read["e1", "s0"]["SEALED"] is None


def test_one_refused_place_takes_no_other_with_it(server, railway):
    _answering_places(server, {"shared": {}, "s1": {"A": "1"}})

    read = railway.variables_of(
        "p", [("e1", None), ("e1", "s1"), ("e1", "secret")], unrendered=True
    )

    assert read["e1", "s1"]["A"].reveal() == "1" and read["e1", None] == {}
    assert isinstance(read["e1", "secret"], ApiError) and len(server.requests) == 4


def test_what_was_remembered_is_not_asked_again_and_only_by_the_same_object(server, railway):
    _answering_places(server, {"s1": {"DATABASE_URL": "postgresql://x/y"}})

    railway.remember("p", [("e1", "s1")])
    again = railway.variables("p", "e1", "s1", unrendered=False)

    assert again["DATABASE_URL"].reveal() == "postgresql://x/y" and len(server.requests) == 1
    railway.variables("p", "e1", "s1", unrendered=True)
    assert len(server.requests) == 2


def test_the_histories_of_many_services_are_one_request_and_keep_their_order(server, railway):
    other = DEPLOYMENT | {"id": "d2", "serviceId": "s2"}
    server.app = lambda request: Response(
        200, {"data": {"p0": edges(DEPLOYMENT), "p1": edges(other)}}
    )

    found = railway.deployments_of("p", [("e1", "s1"), ("e1", "s2")])

    assert [[one.id for one in some] for some in found] == [["d1"], ["d2"]] and len(
        server.requests
    ) == 1
    assert json.loads(server.requests[0].body)["variables"]["i1"]["serviceId"] == "s2"
    server.app = lambda request: Response(200, {"data": {"p0": edges(DEPLOYMENT), "p1": None}})
    with pytest.raises(ApiError):
        railway.deployments_of("p", [("e1", "s1"), ("e1", "s2")])


def histories(count: int) -> str:
    return batch.histories_document(count, fragment("_deployment"))


@pytest.mark.official
@pytest.mark.parametrize("count", [1, 3, batch.MOST])
@pytest.mark.parametrize(
    "build", [batch.variables_document, batch.push_deploys_document, histories]
)
def test_documents_for_many_places_are_valid_by_the_official_schema(build, count):
    if not SCHEMA.exists():
        pytest.skip("the official Railway schema (../shared/railway/schema.graphql) is not here")

    assert validate(_schema(), parse(build(count))) == []


def test_the_limit_that_railway_tells_is_kept_and_a_429_until_it_is_over(server, railway):
    headers = {
        "X-RateLimit-Limit": "1000",
        "X-RateLimit-Remaining": "7",
        "X-RateLimit-Reset": "2026-11-22T11:00:00Z",
    }
    request_counts.collect("t0ken-of-railway")
    server.app = lambda request: Response(200, {"data": {"variables": {}}}, headers)
    railway.variables("p", "e1", None, unrendered=True)
    server.app = lambda request: Response(
        429, {"message": "Too many requests"}, {"Retry-After": "120"}
    )

    with pytest.raises(ApiError):
        railway.variables("p", "e1", None, unrendered=True)

    account = request_counts.collect("t0ken-of-railway")
    assert (account.asked, account.limit, account.remaining) == (2, 1000, 7)
    assert 100 < account.blocked_until - time.time() <= 120
