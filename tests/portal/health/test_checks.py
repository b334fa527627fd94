"""Each check on rows that are in order and on rows that are not; the real failures are in
tests/faults/unwell.py.
"""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from environments.models import ConnectionCheck, RailwayRateLimit, RailwaySync
from portal import observed
from portal.health import checks, incidents, registry, reports, watch
from portal.health.registry import Check, Reading, Result, State
from portal.jobs import AuditWatch
from portal.models.audit import AuditEvent
from portal.models.health import Incident, Observation, ProcessReport
from releases.models.pull_requests import GitHubSync
from tests.factory import make_people, make_project

pytestmark = pytest.mark.django_db


def states(name, now=None):
    [one] = [check for check in registry.all_checks() if check.name == name]
    return [result.state for result in one.function(now or timezone.now())]


def sentences(name, now=None):
    [one] = [check for check in registry.all_checks() if check.name == name]
    return " ".join(result.sentence for result in one.function(now or timezone.now()))


def test_database_and_tables_are_in_order_in_a_fresh_portal():
    assert states("database") == states("migrations") == [State.OK]


def test_a_migration_that_is_not_applied_is_named_and_nothing_else_is_asked(db):
    from django.db.migrations.recorder import MigrationRecorder

    MigrationRecorder.Migration.objects.filter(app="releases", name__startswith="0001").delete()

    readings = {one.check.name: one.result for one in registry.run(timezone.now())}

    assert readings["migrations"].state is State.FAILING
    assert "releases.0001_initial" in readings["migrations"].sentence
    assert readings["workers"].state is State.UNKNOWN


def test_tables_of_a_newer_version_are_a_warning():
    from django.db.migrations.recorder import MigrationRecorder

    MigrationRecorder.Migration.objects.create(
        app="releases", name="9999_from_the_future", applied=timezone.now()
    )

    assert states("migrations") == [State.WARNING]


def test_without_a_worker_it_fails_and_a_report_mends_it():
    assert states("workers") == [State.FAILING]

    reports.report("worker")

    assert states("workers") == [State.OK] and reports.worker_lives()
    reports.sign_off("worker")
    assert not ProcessReport.objects.exists()


def test_a_worker_that_fell_silent_beside_a_living_one_is_a_warning():
    reports.report("worker")
    silent = ProcessReport.objects.get()
    silent.pk, silent.pid, silent.at = None, silent.pid + 1, silent.at - timedelta(minutes=1)
    silent.save()
    assert states("workers") == [
        State.OK
    ]  # the living one began after it fell silent, so it took its place

    ProcessReport.objects.update(started_at=silent.at - timedelta(hours=1))
    assert states("workers") == [State.WARNING]


def test_a_job_that_nobody_takes_is_said_with_its_seconds():
    project = make_project()
    RailwaySync.objects.filter(project=project).update(
        wake_at=timezone.now() - timedelta(seconds=50)
    )

    assert states("queue") == [State.FAILING] and "50 s" in sentences("queue")

    RailwaySync.objects.update(lease_until=timezone.now() + timedelta(seconds=20))
    assert states("queue") == [State.OK]


@pytest.mark.parametrize(
    "skew, state", [(0.1, State.OK), (-3.0, State.WARNING), (11.0, State.FAILING)]
)
def test_clocks(skew, state):
    reports.report("worker")
    ProcessReport.objects.update(clock_skew=skew)

    assert states("clocks") == [state]


@pytest.mark.parametrize("free, state", [(50, State.OK), (9, State.WARNING), (2, State.FAILING)])
def test_disks(free, state):
    reports.report("worker")
    ProcessReport.objects.update(disk_free=free, disk_total=100)

    assert states("disk") == [state]


def test_the_audit_trail_fails_when_broken_and_when_long_unverified(settings):
    assert states("audit_chain") == [State.UNKNOWN]

    row = AuditWatch.objects.create(ok=True, at=timezone.now(), position=3)
    assert states("audit_chain") == [State.OK]
    AuditWatch.objects.update(
        at=timezone.now() - timedelta(seconds=2 * settings.ANCHOR_SECONDS + 121)
    )
    assert states("audit_chain") == [State.FAILING]
    AuditWatch.objects.filter(pk=row.pk).update(
        at=timezone.now(), ok=False, sentence="Event 2 was changed."
    )
    assert states("audit_chain") == [State.FAILING] and "Event 2 was changed." in sentences(
        "audit_chain"
    )


def test_the_anchor_outside_grows_old():
    assert states("outside_anchor") == [State.UNKNOWN]
    observed.note("audit.anchored_outside", "refs/x of acme/inspector")
    observed.keep(at_once=True)
    assert states("outside_anchor") == [State.OK]
    assert states("outside_anchor", timezone.now() + timedelta(hours=2)) == [State.WARNING]


def test_readings_of_a_project_fail_with_their_problem_and_name_it():
    project = make_project()
    assert states("railway_sync") == states("github_sync") == [State.OK]

    GitHubSync.objects.update(
        problem="GitHub refuses the token.", synced_at=timezone.now() - timedelta(seconds=70)
    )
    assert states("github_sync") == [State.FAILING] and "GitHub refuses the token." in sentences(
        "github_sync"
    )
    RailwaySync.objects.filter(project=project).update(
        synced_at=timezone.now() - timedelta(hours=1)
    )
    assert states("railway_sync") == [State.FAILING]


@pytest.mark.parametrize(
    "days, state", [(None, State.OK), (30, State.OK), (3, State.WARNING), (-1, State.FAILING)]
)
def test_the_expiry_of_the_token(days, state):
    now = timezone.now()
    value = 0 if days is None else (now + timedelta(days=days)).timestamp()
    Observation.objects.create(name="github.token_expires.a", value=value, at=now)

    assert states("token_expiry", now) == [state]


def test_quotas_of_both_vendors():
    now = timezone.now()
    row = RailwayRateLimit.objects.create(token="x", hour=now, used=10)
    assert states("railway_quota", now) == [State.OK]
    RailwayRateLimit.objects.update(used=900)
    assert states("railway_quota", now) == [State.WARNING]
    RailwayRateLimit.objects.filter(pk=row.pk).update(blocked_until=now + timedelta(minutes=9))
    assert states("railway_quota", now) == [State.FAILING]

    value = {"remaining": 0, "limit": 5000, "reset": now.timestamp() + 60}
    Observation.objects.create(name="github.left.core.a", value=value, at=now)
    assert states("github_quota", now) == [State.FAILING]
    assert states("github_quota", now + timedelta(minutes=2)) == [State.OK]


def test_a_credential_that_cannot_do_its_work_is_a_warning():
    found = [{"name": "GITHUB_TOKEN", "state": "fail", "sentence": "It cannot merge."}]
    ConnectionCheck.objects.create(checked_at=timezone.now(), found=found)

    assert states("credentials") == [State.WARNING] and "It cannot merge." in sentences(
        "credentials"
    )


def reading(state, subject="", sentence="Said."):
    return Reading(
        Check("workers", "Workers", checks.workers), Result(state, sentence, subject=subject)
    )


def events():
    return list(
        AuditEvent.objects.filter(action__startswith="health.")
        .order_by("position")
        .values_list("action", flat=True)
    )


def test_an_incident_is_announced_at_the_second_look_and_closed_with_an_event():
    now = timezone.now()

    incidents.settle([reading(State.FAILING)], now=now)
    assert events() == [] and Incident.objects.get().announced_at is None
    incidents.settle([reading(State.FAILING)], now=now + timedelta(seconds=10))
    incidents.settle([reading(State.FAILING)], now=now + timedelta(seconds=20))
    assert events() == ["health.failing"]
    incidents.settle([reading(State.UNKNOWN)], now=now + timedelta(seconds=30))
    assert Incident.objects.get().closed_at is None
    incidents.settle([reading(State.OK)], now=now + timedelta(seconds=40))

    assert events() == ["health.failing", "health.recovered"]
    assert Incident.objects.get().closed_at == now + timedelta(seconds=40)


def test_what_is_over_before_the_second_look_disturbs_nobody():
    now = timezone.now()

    incidents.settle([reading(State.FAILING)], now=now)
    incidents.settle([reading(State.OK)], now=now + timedelta(seconds=10))

    assert events() == []


def test_a_warning_that_becomes_worse_is_announced_again():
    now = timezone.now()

    for seconds, state in enumerate((State.WARNING, State.WARNING, State.FAILING, State.FAILING)):
        incidents.settle([reading(state)], now=now + timedelta(seconds=seconds))

    assert events() == ["health.warning", "health.failing"]


def test_many_processes_look_and_one_of_them_evaluates():
    now = timezone.now()

    assert [incidents.look(now) for _ in range(3)] == [True, False, False]
    assert incidents.look(now + incidents.EVERY)


def test_a_restart_of_postgresql_is_an_incident_that_is_over():
    from portal.models.health import HealthWatch

    now = timezone.now()
    incidents.look(now)
    HealthWatch.objects.update(server_started_at=now - timedelta(days=1))

    incidents.look(now + incidents.EVERY)

    assert "health.restarted" in events()
    assert Incident.objects.get(check_name="restarts").closed_at is not None


def test_a_check_that_breaks_is_unknown_and_spoils_no_other(monkeypatch):
    broken = Check("broken", "Broken", lambda now: 1 / 0)
    monkeypatch.setattr(registry, "all_checks", lambda: (broken, reading(State.OK).check))

    found = [one.result.state for one in registry.run(timezone.now())]

    assert found == [State.UNKNOWN, State.FAILING]


def test_urgent_jobs_are_done_here_only_when_due(monkeypatch):
    make_project()
    RailwaySync.objects.update(wake_at=timezone.now())
    monkeypatch.setattr(RailwaySync, "urgent", True)
    monkeypatch.setattr(RailwaySync, "step_function", "tests.portal.health.test_checks.ended")

    watch.do_urgent_jobs()

    assert RailwaySync.objects.get().status == "succeeded"


def ended(job, *, now):
    from portal.jobs import Finished, JobStatus

    return Finished(JobStatus.SUCCEEDED)


# What machines and people are answered


@pytest.mark.parametrize("host", ["healthcheck.railway.app", "10.0.0.7", "testserver"])
def test_platforms_ask_by_whatever_host_without_tls(settings, host):
    settings.SECURE_SSL_REDIRECT = True
    client = Client(headers={"host": host})

    assert client.get("/health/live").status_code == 200
    assert client.get("/health/ready").status_code == 200
    assert client.get("/admin/login/").status_code in (301, 400)


def test_ready_says_each_check_and_fails_only_for_what_people_need():
    from portal.health import views

    views._last = (float("-inf"), [])
    answer = Client().get("/health/ready")

    body = answer.json()
    assert answer.status_code == 200 and body["status"] == "failing" and body["ready"] is True
    assert {"check": "workers", "state": "failing"}.items() <= next(
        one for one in body["checks"] if one["check"] == "workers"
    ).items()
    assert Client().get("/health/ready?all").status_code == 503


def test_details_and_metrics_are_for_the_token_or_this_machine(settings):
    assert "portal_up 1.0" in Client().get("/metrics").text
    assert Client(headers={"x-forwarded-for": "127.0.0.1"}).get("/metrics").status_code == 403
    assert Client(REMOTE_ADDR="10.0.0.7").get("/metrics").status_code == 403
    outside = Client(REMOTE_ADDR="10.0.0.7").get("/health/ready").json()["checks"]
    assert all(set(one) == {"check", "state"} for one in outside)

    settings.METRICS_TOKEN = "scrape"
    assert Client().get("/metrics").status_code == 403
    assert Client(headers={"authorization": "Bearer wrong"}).get("/metrics").status_code == 403
    right = Client(REMOTE_ADDR="10.0.0.7", headers={"authorization": "Bearer scrape"})
    assert 'portal_check_state{check="database",subject=""} 0.0' in right.get("/metrics").text
    assert "sentence" in right.get("/health/ready").json()["checks"][0]


def test_the_status_page_says_the_same_to_people():
    reports.report("worker")
    client = Client()
    client.force_login(make_people()["carol"], backend="django.contrib.auth.backends.ModelBackend")
    Incident.objects.create(
        check_name="disk",
        state="failing",
        sentence="The disk was full.",
        announced_at=timezone.now(),
    )

    page = client.get("/status/").text

    assert "The disk was full." in page and "Every migration is applied." in page


def test_the_board_says_an_open_incident_and_asks_the_database_nothing_for_it():
    make_project()
    client = Client()
    client.force_login(make_people()["carol"], backend="django.contrib.auth.backends.ModelBackend")
    incidents.look(
        timezone.now()
    )  # so that the beats below do not evaluate: the real disk is not full
    Incident.objects.create(
        check_name="disk",
        state="failing",
        sentence="The disk is full.",
        announced_at=timezone.now(),
    )
    watch.beat("web")

    assert "The disk is full." in client.get("/board/panels/").text

    Incident.objects.update(closed_at=timezone.now())
    watch.beat("web")
    assert "The disk is full." not in client.get("/").text
