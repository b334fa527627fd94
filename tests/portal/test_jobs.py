"""A job survives whatever happens to the worker that runs it."""

import contextlib
from datetime import timedelta

import pytest
from django.db import Error, connection
from django.utils import timezone
from django_q.models import OrmQ

from environments.models import Project, RailwaySync
from portal import jobs
from portal.jobs import Finished, JobStatus, Requeue, running, sweep
from portal.outbound import http
from portal.sandbox.server import Response, Server

pytestmark = pytest.mark.django_db

outcomes: list[object] = []
calls: list[int] = []


def step(job, *, now):
    """The step under test: what `outcomes` holds, one at a time."""
    calls.append(job.pk)
    outcome = outcomes.pop(0)
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def cut_off(job, *, now):
    """A step in which PostgreSQL restarts."""
    calls.append(job.pk)
    with connection.cursor() as cursor:
        cursor.execute("select pg_terminate_backend(pg_backend_pid())")


def leave_no_database(job, *, now):
    """A step after which the connection is gone."""
    with contextlib.suppress(Error):
        cut_off(job, now=now)
    return outcomes.pop(0)


@pytest.fixture
def job(monkeypatch):
    monkeypatch.setattr(RailwaySync, "step_function", "tests.portal.test_jobs.step")
    outcomes.clear()
    calls.clear()
    project = Project.objects.create(
        name="inspector", slug="inspector", repository="acme/inspector"
    )
    return RailwaySync.objects.create(project=project)


def run_out(job):
    """The lease ends."""
    RailwaySync.objects.filter(pk=job.pk).update(lease_until=timezone.now() - timedelta(seconds=1))


def reread(job):
    job.refresh_from_db()
    return job


def test_it_goes_on_at_once_until_it_must_wait(job):
    outcomes[:] = [Requeue(0, "one"), Requeue(0, "two"), Requeue(30, "waiting for the world")]

    message = running.wake("environments.RailwaySync", job.pk)

    assert message == "waiting"
    assert len(calls) == 3
    assert reread(job).sentence == "waiting for the world"
    assert job.lease_until is None
    assert job.wake_at > timezone.now() + timedelta(seconds=20)


def test_a_second_worker_finds_nothing_to_claim(job):
    first = running.claim(RailwaySync, job.pk)

    second = running.claim(RailwaySync, job.pk)

    assert first is not None
    assert second is None


def test_a_lease_that_ran_out_is_taken_over_and_the_late_worker_cannot_record(job):
    late = running.claim(RailwaySync, job.pk)
    run_out(job)

    heir = running.claim(RailwaySync, job.pk)
    recorded = running.record(late, Finished(JobStatus.SUCCEEDED, "too late"))

    assert heir.fence == late.fence + 1
    assert recorded is False
    assert reread(job).status == JobStatus.RUNNING


def test_it_asks_a_person_when_every_claim_ends_without_an_outcome(job, monkeypatch):
    monkeypatch.setattr(RailwaySync, "retry_forever", False)
    RailwaySync.objects.filter(pk=job.pk).update(crashes=running.MAX_CRASHES)

    running.wake("environments.RailwaySync", job.pk)

    assert reread(job).status == JobStatus.NEEDS_PERSON
    assert calls == []


def test_an_unexpected_error_is_tried_again_and_then_ends_at_a_person(job, monkeypatch):
    monkeypatch.setattr(RailwaySync, "retry_forever", False)
    for _ in range(3):
        outcomes[:] = [RuntimeError("a bug")]
        RailwaySync.objects.filter(pk=job.pk).update(wake_at=timezone.now())
        running.wake("environments.RailwaySync", job.pk)

    assert reread(job).status == JobStatus.NEEDS_PERSON
    assert len(calls) == 3


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_database_that_went_away_does_not_count_as_a_crash_of_the_step(job, monkeypatch):
    monkeypatch.setattr(RailwaySync, "retry_forever", False)
    monkeypatch.setattr(RailwaySync, "step_function", "tests.portal.test_jobs.cut_off")
    for _ in range(running.MAX_CRASHES + 1):
        RailwaySync.objects.filter(pk=job.pk).update(wake_at=timezone.now())
        running.wake("environments.RailwaySync", job.pk)

    assert (reread(job).status, job.crashes) == (JobStatus.WAITING, 0)
    assert len(calls) == running.MAX_CRASHES + 1


@pytest.mark.django_db(transaction=True)
def test_an_outcome_waits_for_a_database_that_is_away_at_that_moment(job, monkeypatch):
    outcomes[:] = [Requeue(30, "waiting for the world")]
    monkeypatch.setattr(RailwaySync, "step_function", "tests.portal.test_jobs.leave_no_database")

    assert running.wake("environments.RailwaySync", job.pk) == "waiting"
    assert reread(job).sentence == "waiting for the world"


def test_what_keeps_a_mirror_fresh_goes_on_after_any_number_of_errors_and_crashes(job):
    RailwaySync.objects.filter(pk=job.pk).update(crashes=10 * running.MAX_CRASHES)
    outcomes[:] = [RuntimeError("a bug"), Requeue(30, "In step again.")]

    running.wake("environments.RailwaySync", job.pk)
    assert reread(job).is_open
    assert job.wake_at <= timezone.now() + timedelta(seconds=60)
    RailwaySync.objects.filter(pk=job.pk).update(wake_at=timezone.now())
    running.wake("environments.RailwaySync", job.pk)

    assert (reread(job).sentence, job.crashes) == ("In step again.", 0)


def test_an_outcome_forgets_earlier_crashes(job):
    RailwaySync.objects.filter(pk=job.pk).update(crashes=5)
    outcomes[:] = [Requeue(5)]

    running.wake("environments.RailwaySync", job.pk)

    assert reread(job).crashes == 0


def test_the_sweeper_wakes_what_is_due_once_and_leaves_the_rest(job):
    RailwaySync.objects.filter(pk=job.pk).update(wake_at=timezone.now() - timedelta(seconds=1))

    woken = [sweep.sweep(), sweep.sweep()]

    assert woken == [1, 0]
    assert OrmQ.objects.count() == 1


def test_the_sweeper_wakes_again_what_was_woken_and_never_ran(job):
    sweep.sweep()
    later = timezone.now() + sweep.WAKE_AGAIN + timedelta(seconds=1)

    assert sweep.sweep(later) == 1


def test_the_sweeper_leaves_a_job_alone_that_a_worker_holds(job):
    running.claim(RailwaySync, job.pk)

    assert sweep.sweep() == 0


def test_a_look_asked_for_while_one_runs_is_not_forgotten(job):
    held = running.claim(RailwaySync, job.pk)
    RailwaySync.objects.filter(pk=job.pk).update(wake_at=timezone.now())

    running.record(held, Requeue(300))

    assert reread(job).wake_at <= timezone.now()


def test_a_rolled_back_wake_never_was(job):
    from django.db import transaction

    with pytest.raises(ZeroDivisionError), transaction.atomic():
        jobs.wake_now(job)
        raise ZeroDivisionError

    assert OrmQ.objects.count() == 0


def test_a_person_who_stops_a_job_takes_the_lease_away(job):
    held = running.claim(RailwaySync, job.pk)
    RailwaySync.objects.filter(pk=job.pk).update(status=JobStatus.CANCELLED)

    assert jobs.holds(held) is False
    assert running.record(held, Finished(JobStatus.SUCCEEDED)) is False


def test_a_host_whose_clock_is_ahead_takes_nothing_over_that_another_one_still_holds(job):
    running.claim(RailwaySync, job.pk)
    its_time = timezone.now() + timedelta(hours=1)

    assert running.claim(RailwaySync, job.pk, now=its_time) is None
    assert job.pk not in sweep.due(RailwaySync, its_time).values_list("pk", flat=True)
    assert sweep.sweep(its_time) == 0


def test_a_host_whose_clock_is_behind_leaves_its_lease_as_long_as_any(job):
    job = running.claim(RailwaySync, job.pk)

    assert jobs.holds(job, now=timezone.now() - timedelta(hours=1))

    assert jobs.seconds_held(job) > jobs.LEASE.total_seconds() - 2


def test_the_row_names_the_worker_and_each_worker_counts_its_own_jobs_only(job, monkeypatch):
    running.claim(RailwaySync, job.pk)
    label = ("environments.RailwaySync", job.pk)

    assert reread(job).holder == jobs.this_worker()
    assert label in sweep.busy()
    monkeypatch.setenv(jobs.WORKER_VARIABLE, "another host 7")
    assert label not in sweep.busy()


@pytest.fixture
def outside():
    server = Server(lambda request: Response(200, {})).start()
    yield server
    server.stop()


def writing(server, job, meanwhile):
    """A step that looks, is frozen while `meanwhile` happens, and then writes."""

    def step(job, *, now):
        meanwhile()
        http.send("GitHub", "POST", f"{server.url}/statuses", write=True)
        return Requeue(30, "written")

    return step


@pytest.mark.parametrize(
    "fate", ["taken over", "run out", "cancelled"], ids=lambda fate: fate.replace(" ", "-")
)
def test_a_worker_that_was_frozen_between_its_look_and_its_write_does_not_write(
    job, outside, monkeypatch, fate
):
    def meanwhile():
        run_out(job)
        if fate == "taken over":
            assert running.claim(RailwaySync, job.pk)
        if fate == "cancelled":
            RailwaySync.objects.filter(pk=job.pk).update(status=JobStatus.CANCELLED)

    monkeypatch.setattr(running, "import_string", lambda name: writing(outside, job, meanwhile))
    running.wake("environments.RailwaySync", job.pk)

    assert outside.requests == []
    assert reread(job).sentence != "written"


def test_a_worker_that_is_frozen_while_it_connects_does_not_write(job, outside, monkeypatch):
    """The lease is held when the write begins, and over when its first byte would go out."""
    held = jobs.seconds_held
    monkeypatch.setattr(running, "seconds_held", lambda job: held(job) - jobs.LEASE.total_seconds())
    monkeypatch.setattr(running, "import_string", lambda name: writing(outside, job, lambda: None))

    running.wake("environments.RailwaySync", job.pk)

    assert outside.requests == []
    assert reread(job).is_open and job.sentence != "written"


def test_a_worker_that_holds_its_job_writes(job, outside, monkeypatch):
    monkeypatch.setattr(running, "import_string", lambda name: writing(outside, job, lambda: None))

    running.wake("environments.RailwaySync", job.pk)

    assert [request.path for request in outside.requests] == ["/statuses"]
    assert reread(job).sentence == "written"
