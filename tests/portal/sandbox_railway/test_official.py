"""The stand-in's schema and answers, held against Railway's own schema."""

from pathlib import Path

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLObjectType,
    OperationType,
    build_schema,
    parse,
    validate,
)

from portal.sandbox.railway.standin import schema

SHARED = Path(__file__).resolve().parents[3] / ".." / "shared" / "railway"
pytestmark = [
    pytest.mark.official,
    pytest.mark.skipif(
        not SHARED.exists(), reason="../shared/railway, Railway's own schema, is missing here"
    ),
]
EXAMPLES = sorted((SHARED / "examples").glob("*.graphql")) if SHARED.exists() else [Path("missing")]


@pytest.fixture(scope="module")
def official():
    return build_schema((SHARED / "schema.graphql").read_text(), assume_valid=True)


def differences(ours, theirs):
    """Everything in `ours` that `theirs` lacks or types otherwise, and required arguments we
    forgot.
    """
    for name, kind in ours.type_map.items():
        other = theirs.type_map.get(name)
        if name.startswith("__"):
            continue
        if other is None or type(other) is not type(kind):
            yield f"{name} is no such type"
        elif isinstance(kind, GraphQLEnumType):
            yield from (f"{name}.{value}" for value in kind.values if value not in other.values)
        elif isinstance(kind, GraphQLObjectType | GraphQLInputObjectType):
            yield from field_differences(name, kind.fields, other.fields)
            if isinstance(kind, GraphQLInputObjectType):
                yield from missing_required(name, kind.fields, other.fields)


def field_differences(owner, ours, theirs):
    for name, field in ours.items():
        other = theirs.get(name)
        if other is None or str(other.type) != str(field.type):
            yield f"{owner}.{name}: {field.type}"
        elif hasattr(field, "args"):
            yield from field_differences(f"{owner}.{name}()", field.args, other.args)
            yield from missing_required(f"{owner}.{name}()", field.args, other.args)


def missing_required(owner, ours, theirs):
    for name, field in theirs.items():
        if str(field.type).endswith("!") and name not in ours:
            yield f"{owner} lacks {name}"


def test_everything_we_serve_exists_at_railway_with_the_same_type(official):
    assert list(differences(schema(), official)) == []


def test_the_comparison_finds_what_is_not_at_railway(official):
    invented = build_schema(
        "type Query { project(id: Int): Project! } type Project { id: ID! moon: String }"
    )

    found = set(differences(invented, official))

    assert found == {"Query.project()." + "id: Int", "Project.moon: String"}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_documented_operation_is_valid_here_and_answers(railway, path):
    railway.standin.deploy("backend", "production", railway.repository.commit("One"), live=True)
    railway.standin.deploy("backend", "production", railway.repository.commit("Two"), live=True)
    railway.standin.set_knobs(cooldown=0)
    document = parse(path.read_text())
    assert validate(schema(), document) == []

    for operation in (node for node in document.definitions if hasattr(node, "operation")):
        answer = railway.post(
            path.read_text(),
            arguments(railway, path.stem, operation.name.value),
            operationName=operation.name.value,
            headers=headers(railway, path.stem),
        )

        assert answer.status_code == 200, answer.text
        message = answer.json().get("errors", [{"message": ""}])[0]["message"]
        assert message == EXPECTED_REFUSALS.get(operation.name.value, ""), answer.text
        assert operation.operation is OperationType.MUTATION or message or answer.json()["data"]


# What the world of this test holds no object for; the refusal shows that the resolver ran.
EXPECTED_REFUSALS = {
    "CancelDeployment": "Problem processing request",
    "ApproveDeployment": "Problem processing request",
    "CommitStaged": "",
}


def headers(railway, example):
    if example != "token-project":
        return None
    railway.standin.add_token("bound", "project", "production")
    return {"Project-Access-Token": "bound"}


def arguments(railway, example, operation):
    """Variables for each documented operation."""
    standin, place = railway.standin, railway.ids()
    rows = standin.world.rows
    scope = {"projectId": railway.project} | place
    deployments = rows("deployments", **place)
    rule = standin.add_webhook("http://127.0.0.1:9/hook")
    standin.set_variable("production", None, "SHARED", "value")
    standin.set_variable("production", "backend", "COLOUR", "red")
    workspace = standin.world.data["workspace"]["id"]
    common = scope | {
        "workspaceId": workspace,
        "deploymentId": deployments[-1]["id"],
        "serviceInstanceId": rows("instances", **place)[0]["id"],
        "triggerId": rows("triggers", **place)[0]["id"],
        "branch": "staging",
        "id": deployments[0 if example == "rollback" else -1]["id"],
    }
    special = {
        "autodeploy-set": {"input": scope | {"enabled": False}},
        "deployment-trigger-create": {
            "input": (
                scope | {"provider": "github", "repository": "acme/inspector", "branch": "main"}
            )
        },
        "deployments-page": {"input": scope | {"status": {"in": ["SUCCESS", "REMOVED"]}}},
        "domain-create": {"input": place | {"targetPort": 8080}},
        "domain-delete": {"id": rows("domains", **place)[0]["id"]},
        "environment-create": {
            "input": {
                "projectId": railway.project,
                "name": "pr-1",
                "sourceEnvironmentId": place["environmentId"],
            }
        },
        "environment-delete": {"id": standin._named("environments", "staging")["id"]},
        "environment-patch-commit": {
            "patch": {"services": {place["serviceId"]: {"variables": {"A": {"value": "b"}}}}}
        },
        "environment-stage-and-commit": {
            "patch": {"services": {place["serviceId"]: {"variables": {"COLOUR": None}}}},
            "skipDeploys": True,
        },
        "pr-settings-update": {
            "input": {"prDeploys": True, "baseEnvironmentId": place["environmentId"]}
        },
        "service-instance-update": {
            "input": {"preDeployCommand": ["true"], "healthcheckPath": "/health"}
        },
        "shared-variable-configure": {
            "input": {
                "projectId": railway.project,
                "environmentId": place["environmentId"],
                "name": "SHARED",
            }
            | {"enabledServiceIds": [place["serviceId"]], "disabledServiceIds": []}
        },
        "ssh-key-create": {
            "input": {"name": "key", "publicKey": "ssh-ed25519 QUJD", "workspaceId": workspace}
        },
        "variable-collection-upsert": {
            "input": scope | {"variables": {"A": "1"}, "skipDeploys": True}
        },
        "variable-delete": {"input": scope | {"name": "COLOUR"}},
        "variable-upsert": {"input": scope | {"name": "A", "value": "1"}},
        "webhook-rule-create": {
            "input": (
                {
                    "workspaceId": workspace,
                    "projectId": railway.project,
                    "eventTypes": ["Deployment.failed"],
                }
                | {
                    "channelConfigs": [
                        {
                            "type": "webhook",
                            "url": "http://127.0.0.1:9",
                            "headers": {"X-Secret": "s"},
                        }
                    ]
                }
            )
        },
        "webhook-rule-change": {"id": rule, "input": {"eventTypes": ["Deployment.failed"]}},
    }
    if example == "deployment-trigger-create":
        standin.world.drop("triggers", **place)
    if operation == "SendTestWebhook":
        return {"url": f"{railway.server.url}/_sandbox/requests", "payload": "{}"}
    return common | special.get(example, {})
