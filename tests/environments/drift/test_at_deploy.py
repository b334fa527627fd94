"""A service that migrates by its own command holds a release, unless the portal knows of it."""

import pytest
from django.utils import timezone

from environments import railway
from environments.drift.detect import compare
from environments.finding_kinds.migrating import AT_DEPLOY
from environments.models import Database, Finding, MigrationRun, Service, ServiceInstance
from environments.railway_mirror import sync as mirror_sync
from releases.gates.context import facts_of
from releases.gates.deployed import environments_coherent
from releases.gates.result import ATTEST, PASS
from tests.factory import make_people, make_project, make_release

pytestmark = pytest.mark.django_db
UPGRADE = "alembic upgrade head"


@pytest.fixture
def project():
    return make_project()


def found(project) -> dict[str, Finding]:
    compare(project, now=timezone.now())
    return {one.subject: one for one in Finding.objects.open().filter(kind=AT_DEPLOY)}


def set_on(project, **values) -> None:
    """What is known of the commands of the backend in production."""
    instances = ServiceInstance.objects.filter(environment__project=project)
    instances.filter(service__name="backend", environment__kind="production").update(**values)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"at_start": "pre_deploy"}, "before each deployment"),
        ({"at_start": "start"}, "at each start"),
        ({"at_start": "no", "at_start_before": "start"}, "at each start"),
        ({"in_repository": {"at_start": "pre_deploy"}}, "before each deployment"),
        ({"in_repository": {"coming": "3f2", "coming_at_start": "start"}}, "at each start"),
        ({"in_repository": {"at_start": "start", "coming": "3f2", "coming_at_start": ""}}, ""),
        ({"in_repository": {"coming": "3f2", "coming_image": "start"}}, "at each start"),
        ({"at_start": "no", "in_repository": {"image": "start"}}, ""),
        ({"at_start": "no"}, ""),
        ({"at_start": "unknown"}, ""),
    ],
)
def test_a_service_that_runs_alembic_by_itself_is_a_finding(project, values, words):
    set_on(project, **values)

    open_ = found(project)

    assert list(open_) == (["backend in production"] if words else [])
    for one in open_.values():
        assert words in one.sentence and "Remove Alembic from the command" in one.sentence


def test_it_holds_the_release_until_a_person_confirms_or_it_is_gone(project):
    release = make_release(project, by=make_people()["alice"], ready=True)
    before = environments_coherent(facts_of(release.pk))
    set_on(project, at_start="pre_deploy")
    found(project)

    held = environments_coherent(facts_of(release.pk))
    set_on(project, at_start="no")
    closed = found(project)

    assert (before.state, held.state, closed) == (PASS, ATTEST, {}), before.sentence
    assert "without the portal's plan, approval and lock" in held.sentence
    assert environments_coherent(facts_of(release.pk)).state == PASS


def test_where_railway_migrates_as_the_project_says_nothing_is_found(project):
    set_on(project, at_start="pre_deploy")
    project.databases.update(runner="verify")
    assert not found(project)

    other = Database.objects.create(
        project=project, name="billing", alembic="billing/alembic.ini", service="billing"
    )
    assert not found(project), "another service's database is another matter"

    other.service = "worker"
    project.databases.update(service="worker")
    assert "backend in production" in found(project), "nobody knows which of them it migrates"


def test_without_a_database_in_the_portal_it_is_found_as_well(project):
    set_on(project, at_start="start")
    project.databases.all().delete()

    assert "backend in production" in found(project)


def test_what_no_release_waits_for_may_do_as_it_likes(project):
    set_on(project, at_start="start")
    Service.objects.filter(name="backend").update(belongs=False)

    assert not found(project)


def reading(project, pre_deploy: str | None) -> None:
    """Railway is read once, with this command on the backend of production."""
    environment = project.environments.get(kind="production")
    [service] = Service.objects.filter(project=project, name="backend")
    state = railway.ServiceInstance(
        "i-1",
        service.railway_id,
        "backend",
        environment.railway_id,
        repo=project.repository,
        pre_deploy_command=pre_deploy,
        start_command="uvicorn app:app",
    )
    place = railway.Environment(
        environment.railway_id, "production", True, False, *[None] * 2, "", (), (state,)
    )
    services = (railway.Service(service.railway_id, "backend"),)
    tree = railway.ProjectTree("p", "inspector", None, services, (place,), False, ())
    mirror_sync.apply(project, tree, now=timezone.now())


def commands(project) -> str:
    instances = ServiceInstance.objects.filter(environment__project=project)
    return instances.get(service__name="backend", environment__kind="production").runs_alembic


def test_one_reading_alone_takes_nothing_back(project):
    said = []
    for command in (None, UPGRADE, None, None):
        reading(project, command)
        said.append(commands(project))

    assert said == ["unknown", "pre_deploy", "pre_deploy", "no"]


def test_the_command_that_a_run_of_the_portal_has_set_is_not_the_services_own(project):
    reading(project, None)
    run = MigrationRun.objects.create(
        environment=project.environments.get(kind="production"),
        database=project.databases.get(),
        runner="railway",
        commit="3f2",
        railway={"service": "inspector-backend", "command": [UPGRADE], "was": []},
    )
    reading(project, UPGRADE)
    lent = commands(project)
    reading(project, f"{UPGRADE} --sql")
    other = commands(project)

    MigrationRun.objects.update(railway=run.railway | {"was": [UPGRADE]})
    reading(project, UPGRADE)

    assert (lent, other, commands(project)) == ("no", "pre_deploy", "pre_deploy")
