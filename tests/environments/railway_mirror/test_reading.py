"""What a reading of Railway that is not whole does not show is being read, and nobody's fault."""

from datetime import UTC, datetime

import pytest

from environments.models import Deployment, Finding, ServiceInstance
from environments.railway import Deployment as Made
from environments.railway import Environment, ProjectTree, Service, Trigger
from environments.railway import ServiceInstance as State
from environments.railway_mirror import sync
from tests.factory import CANDIDATE, make_project

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def made(id="d1", containers=("RUNNING",), **values) -> Made:
    known = dict.fromkeys(Made.__dataclass_fields__)
    known |= {
        "id": id,
        "status": "SUCCESS",
        "stopped": False,
        "commit": CANDIDATE,
        "instances": containers,
        "url": "",
    }
    return Made(**(known | values))


def tree(*names, complete=True, deployment=None, **state) -> ProjectTree:
    """A project of one service in these environments."""
    trigger = Trigger("t", "s1", "acme/inspector", "staging")
    deployment = deployment or made()
    places = [
        Environment(
            id=name,
            name=name,
            can_access=True,
            is_ephemeral=False,
            created_at=NOW,
            pr_number=None,
            triggers=(trigger,),
            instances=(
                State(
                    f"i-{name}",
                    "s1",
                    "backend",
                    name,
                    repo="acme/inspector",
                    latest_deployment=deployment,
                    active_deployments=(deployment,),
                    **state,
                ),
            ),
        )
        for name in names
    ]
    return ProjectTree(
        "p", "inspector", None, (Service("s1", "backend"),), tuple(places), complete, ()
    )


@pytest.fixture
def project():
    return make_project(services=())


def missing() -> list[str]:
    return list(
        Finding.objects.filter(kind="missing", closed_at=None).values_list("sentence", flat=True)
    )


def test_only_a_whole_reading_says_that_an_environment_is_missing(project):
    project.environments.all().delete()
    sync.apply(project, tree("staging", complete=False), now=NOW)
    assert missing() == []

    sync.apply(project, tree("staging"), now=NOW)
    assert missing() == ["There is no environment named production on Railway."]

    sync.apply(project, tree("staging", complete=False), now=NOW)
    assert len(missing()) == 1, "what was missing stays so until it is seen"


def test_names_that_differ_in_case_alone_are_listed_for_a_person(project):
    project.environments.all().delete()

    sync.apply(project, tree("staging", "Production", "PRODUCTION"), now=NOW)

    assert missing() == [
        "There is no environment named production on Railway, but PRODUCTION, Production. Choose "
        "the right one under Projects."
    ]


def test_a_service_is_ours_as_long_as_anything_says_so(project):
    elsewhere = tree("staging", "production", deployment=made(repo="acme/website"))

    sync.apply(project, elsewhere, now=NOW)

    assert set(ServiceInstance.objects.values_list("repository", flat=True)) == {"acme/inspector"}


def test_patterns_count_when_two_readings_name_the_same(project):
    def read(*patterns):
        sync.apply(project, tree("staging", "production", watch_patterns=patterns), now=NOW)
        return ServiceInstance.objects.filter(environment__kind="staging").get().unchanged

    assert read("/web/**") == {"unconfirmed": True}
    assert read("/web/**") == {}
    assert read("x") == {"unconfirmed": True}


def test_containers_that_are_no_longer_listed_are_in_a_state_that_nobody_knows(project):
    def read(*containers):
        sync.apply(project, tree("staging", deployment=made(containers=containers)), now=NOW)
        return Deployment.objects.get().containers

    assert (read(), read("RUNNING"), read(), read("RUNNING")) == (
        [],
        ["RUNNING"],
        ["UNLISTED"],
        ["RUNNING"],
    )
