"""Every word of every enum in the answers that the portal asks Railway for has a meaning here."""

from pathlib import Path

import pytest
from graphql import (
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    build_schema,
    get_named_type,
    is_enum_type,
    parse,
    visit,
)

from environments.railway import Railway, batch
from environments.railway.objects import Domain
from environments.railway.transport import DOCUMENTS, document, fragment
from portal.sandbox.server import Response, Server
from tests.environments.railway.test_deployment_states import CONTAINERS, DEPLOYMENTS

SHARED = Path(__file__).resolve().parents[3] / ".." / "shared" / "railway" / "schema.graphql"
# Every CustomDomainSyncStatus and ServiceDomainSyncStatus: whether the domain is an address.
DOMAINS = {
    "ACTIVE": True,
    "CREATING": True,
    "DELETED": False,
    "DELETING": False,
    "UNSPECIFIED": True,
    "UPDATING": True,
}
# Every EnvironmentPatchStatus: whether something waits to be committed, and is being applied.
PATCHES = {"APPLYING": (False, True), "COMMITTED": (False, False), "STAGED": (True, False)}
# Every WorkflowStatus, and how the client says it.
WORKFLOWS = {"Complete": "complete", "Error": "error", "NotFound": "notfound", "Running": "running"}
# Every VolumeState: whether a backup of the volume can be asked for.
VOLUMES = {
    "DELETED": False,
    "DELETING": False,
    "ERROR": False,
    "MIGRATING": False,
    "MIGRATION_PENDING": False,
    "READY": True,
    "RESTORING": False,
    "UPDATING": False,
}
MEANT = {
    "DeploymentStatus": DEPLOYMENTS,
    "DeploymentInstanceStatus": CONTAINERS,
    "CustomDomainSyncStatus": DOMAINS,
    "ServiceDomainSyncStatus": DOMAINS,
    "EnvironmentPatchStatus": PATCHES,
    "WorkflowStatus": WORKFLOWS,
    "VolumeState": VOLUMES,
}


@pytest.fixture
def answering():
    """A client of a Railway that answers everything with what the test gives."""
    servers = []

    def client(answer: dict) -> Railway:
        servers.append(Server(lambda request: Response(200, {"data": answer})).start())
        return Railway(token="t", api_url=f"{servers[-1].url}/graphql/v2")

    yield client
    for server in servers:
        server.stop()


@pytest.mark.parametrize(("status", "said"), WORKFLOWS.items())
def test_how_a_workflow_stands(answering, status, said):
    answer = {"workflowStatus": {"status": status, "error": None}}

    assert answering(answer).workflow("w") == (said, "")


@pytest.mark.parametrize(("state", "ready"), VOLUMES.items())
def test_only_a_volume_that_is_ready_is_backed_up(answering, state, ready):
    node = {"id": "v", "serviceId": "s", "state": state}
    page = {"edges": [{"node": node}], "pageInfo": {"hasNextPage": False, "endCursor": None}}

    found = answering({"environment": {"volumeInstances": page}}).volume("e", "s")

    assert (found == "v") is ready


@pytest.mark.parametrize(("status", "counts"), DOMAINS.items())
def test_a_domain_that_railway_deletes_is_no_address_any_more(status, counts):
    assert Domain("a.example.org", status).counts is counts


@pytest.mark.parametrize(("status", "meant"), PATCHES.items())
def test_what_is_staged_and_what_is_being_applied_are_told_apart(status, meant):
    changes = {"id": "x", "status": status, "patch": {"services": {}}, "lastAppliedError": None}
    answer = {"data": {"environmentStagedChanges": changes}}
    server = Server(lambda request: Response(200, answer)).start()
    try:
        railway = Railway(token="t", api_url=f"{server.url}/graphql/v2")

        assert (bool(railway.staged("e")), railway.being_changed("e")) == meant
    finally:
        server.stop()


@pytest.mark.official
@pytest.mark.skipif(
    not SHARED.exists(), reason="../shared/railway, Railway's own schema, is missing here"
)
def test_every_enum_that_is_asked_for_is_known_here_with_all_its_words():
    schema = build_schema(SHARED.read_text(), assume_valid=True)
    names = [one.stem for one in DOCUMENTS.glob("*.graphql") if not one.stem.startswith("_")]
    asked = [document(name) for name in names] + [
        batch.variables_document(1),
        batch.push_deploys_document(1),
        batch.histories_document(1, fragment("_deployment")),
    ]

    found = set().union(*(enums_in(schema, one) for one in asked))

    assert {name: set(schema.type_map[name].values) for name in found} == {
        name: set(words) for name, words in MEANT.items()
    }


def enums_in(schema, asked: str) -> set[str]:
    """The enums among the fields that a document selects."""
    known, found = TypeInfo(schema), set()

    class Fields(Visitor):
        def enter_field(self, node, *_):
            kind = get_named_type(known.get_type()) if known.get_type() else None
            if is_enum_type(kind):
                found.add(kind.name)

    visit(parse(asked), TypeInfoVisitor(known, Fields()))
    return found
