"""Each credential is looked at within a minute, for as few requests as possible."""

from datetime import timedelta

import pytest
from django.utils import timezone

from environments.connections import watch
from environments.connections.jobs import check_connections
from environments.models import ConnectionCheck, CredentialWatch, Project, RailwaySync
from portal import observed
from portal.health import incidents, registry
from portal.health.registry import State
from portal.jobs import running
from portal.models.audit import AuditEvent
from portal.models.credentials import ServiceCredential
from portal.models.health import HealthWatch, Incident

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def nothing_seen_before():
    observed.keep(at_once=True)


@pytest.fixture
def job(project):
    observed.Observation.objects.all().delete()
    return CredentialWatch.objects.create()


def look(job, *, seconds=0.0):
    """One step of the job, that many seconds from now; how long it wants to wait."""
    now = timezone.now() + timedelta(seconds=seconds)
    CredentialWatch.objects.filter(pk=job.pk).update(wake_at=now)
    held = running.claim(CredentialWatch, job.pk, now=now)
    outcome = watch.watch_credentials(held, now=now)
    running.record(held, outcome)
    return outcome.seconds


def asked(railway, hub):
    return len(railway.server.requests), len(hub.server.requests)


def refuse_railways(railway):
    railway.world.data["tokens"] = {}


def credentials_now():
    [check] = [one for one in registry.all_checks() if one.name == "credentials"]
    return {found.subject: found.state for found in check.function(timezone.now())}


def test_one_request_for_each_credential_however_many_projects_use_it(job, hub, railway):
    for number in range(3):
        Project.objects.create(
            name=f"p{number}",
            slug=f"p{number}",
            repository=f"acme/p{number}",
            railway_project_id=railway.project_id,
        )

    seconds = look(job)

    assert asked(railway, hub) == (1, 1)
    assert hub.server.requests[0].path == "/rate_limit"
    assert seconds == watch.LOOK_SECONDS
    assert watch.refused() == {}


def test_a_project_in_which_something_happens_costs_nothing(job, hub, railway):
    look(job)
    before = asked(railway, hub)
    accounts = list(CredentialWatch.objects.get().seen)
    for account in accounts:
        observed.note_accepted(account)

    seconds = look(job, seconds=39)

    assert asked(railway, hub) == before
    assert 0 < seconds <= 2
    look(job, seconds=42)
    assert asked(railway, hub) == (before[0] + 1, before[1] + 1)


def test_every_answer_counts_as_a_sign_that_the_credential_is_accepted(job, hub, railway):
    from environments.clients import github_of, railway_of

    project = Project.objects.get()
    railway_of(project).project(railway.project_id)
    github_of(project).transport.get("read the repository", "/repos/acme/inspector")
    before = asked(railway, hub)

    look(job)

    assert asked(railway, hub) == before


@pytest.mark.parametrize("service", ["Railway", "GitHub"])
def test_a_token_that_expires_is_said_at_once_and_taken_back(job, hub, railway, service):
    sync = RailwaySync.objects.create(
        project=Project.objects.get(), wake_at=timezone.now() + timedelta(hours=1)
    )
    ConnectionCheck.objects.create(wake_at=timezone.now() + timedelta(hours=1))
    look(job)
    tokens = dict(railway.world.data["tokens"])
    name = "RAILWAY_API_TOKEN" if service == "Railway" else "GITHUB_TOKEN"
    if service == "Railway":
        refuse_railways(railway)
    else:
        hub.expiries["sandbox-github-token"] = timezone.now() - timedelta(minutes=1)

    again = look(job, seconds=41)
    assert again == watch.AGAIN_SECONDS and watch.refused() == {}, "One refusal may be a mishap."
    HealthWatch.objects.create(evaluated_at=timezone.now())
    look(job, seconds=44)

    assert list(watch.refused()) == [name]
    assert f"{service} refuses it" in watch.refused()[name]
    assert credentials_now()[name] is State.FAILING
    assert ConnectionCheck.objects.get().wake_at < timezone.now() + timedelta(minutes=1)
    assert incidents.look(timezone.now()), "The next beat evaluates, whatever the last one was."
    told = AuditEvent.objects.filter(action="health.failing", sentence__startswith=f"{name}: ")
    assert told.count() == 1

    railway.world.data["tokens"] = tokens
    hub.expiries.clear()
    look(job, seconds=85)

    assert watch.refused() == {} and name not in credentials_now()
    if service == "Railway":
        sync.refresh_from_db()
        assert sync.wake_at < timezone.now() + timedelta(minutes=2)
    assert incidents.look(timezone.now())
    assert not Incident.objects.filter(closed_at=None, check_name="credentials").exists()


def test_no_answer_is_no_refusal(job, hub, railway):
    from portal.sandbox.server import Fault

    look(job)
    railway.server.faults.append(Fault("status", times=9, status=503))
    hub.server.faults.append(Fault("status", times=9, status=502))

    look(job, seconds=41)
    look(job, seconds=82)

    assert watch.refused() == {}


def test_a_plan_with_few_requests_is_asked_seldom_and_never_when_little_is_left(
    job, hub, railway, settings
):
    settings.RAILWAY_REQUESTS_PER_HOUR = 100
    railway.set_knobs(rate_limit=100)

    for minute in range(30):
        look(job, seconds=60 * minute)
    assert 4 <= len(railway.server.requests) <= 5, "A tenth of a hundred an hour."

    railway.world.data["budget"]["remaining"] = 12
    look(job, seconds=60 * 36)
    before = len(railway.server.requests)
    for minute in range(37, 58):
        look(job, seconds=60 * minute)
    assert len(railway.server.requests) == before


def test_a_quota_that_others_used_up_is_seen_without_asking_for_anything(job, hub, railway):
    hub.rate["graphql"].used = hub.rate["graphql"].limit

    look(job)
    observed.keep(at_once=True)

    [check] = [one for one in registry.all_checks() if one.name == "github_quota"]
    states = {found.subject: found.state for found in check.function(timezone.now())}
    assert states == {"core": State.OK, "graphql": State.FAILING}


def test_the_quota_of_one_credential_does_not_hide_that_of_another(job, hub, railway):
    from portal.sandbox.github.state import Viewer

    hub.tokens["another-token"] = Viewer("bob")
    project = Project.objects.get()
    ServiceCredential.objects.create(
        service="github", scope=project.slug, secret="another-token", changed_at=timezone.now()
    )
    Project.objects.create(name="two", slug="two", repository="acme/two")
    look(job)
    observed.keep(at_once=True)

    [check] = [one for one in registry.all_checks() if one.name == "github_quota"]
    subjects = {found.subject for found in check.function(timezone.now())}

    assert subjects == {
        f"{kind} of {name}"
        for kind in ("core", "graphql")
        for name in ("GITHUB_TOKEN", "GitHub token of inspector")
    }


def test_a_replaced_token_is_forgotten_and_the_checks_look_soon(job, hub, railway, settings):
    look(job)
    refuse_railways(railway)
    look(job, seconds=41)
    look(job, seconds=44)
    railway.add_token("another-one", "account")
    settings.RAILWAY_API_TOKEN = "another-one"
    HealthWatch.objects.update_or_create(defaults={"evaluated_at": timezone.now()})

    look(job, seconds=46)

    assert watch.refused() == {} and HealthWatch.objects.get().evaluated_at is None


def test_the_hourly_look_begins_the_watch_where_an_older_version_had_none(project):
    check = ConnectionCheck.objects.create()
    held = running.claim(ConnectionCheck, check.pk)

    check_connections(held, now=timezone.now())

    assert CredentialWatch.objects.exists()
