"""A job survives whatever happens to the worker that runs it."""

from datetime import timedelta

import pytest
from django.utils import timezone
from django_q.models import OrmQ

from environments.models import Project, RailwaySync
from portal import jobs
from portal.jobs import Finished, JobStatus, Requeue, running, sweep

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


@pytest.fixture
def job(monkeypatch):
    monkeypatch.setattr(RailwaySync, "step_function", "tests.portal.test_jobs.step")
    outcomes.clear()
    calls.clear()
    project = Project.objects.create(
        name="inspector", slug="inspector", repository="acme/inspector"
    )
    return RailwaySync.objects.create(project=project)


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
    after = timezone.now() + jobs.LEASE + timedelta(seconds=1)

    heir = running.claim(RailwaySync, job.pk, now=after)
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
