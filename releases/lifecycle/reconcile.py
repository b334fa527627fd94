"""The job that keeps a release up to date until it ends."""

from datetime import datetime

from django.db import transaction

from environments.clients import github_of
from environments.databases.address import NoDatabase
from environments.git.calls import GitError
from environments.git_mirrors.clone import mirror_of
from environments.models import LONG_LIVED, Branch, DatabaseStatus, databases_of
from environments.schema.run.virtualenvs import NotPrepared
from environments.services import watching
from portal import audit
from portal.jobs import Finished, JobStatus, Outcome, Requeue, wake_now
from portal.outbound.http import ApiError
from releases import gates
from releases.commit_status import publish
from releases.gates import record
from releases.gates.context import facts_of
from releases.github_mirror import watching as mirrors
from releases.lifecycle import carried, collect
from releases.lifecycle.migration_steps import plan, rehearse_release
from releases.lifecycle.pull_request_steps import (
    head_of_pull,
    open_pull,
    watch_back_merge,
    watch_pull,
)
from releases.models import StagingSmoke
from releases.models.reconciler import ReleaseReconciler
from releases.models.releases import Release, ReleaseStatus
from releases.variable_changes import compare

LOOK_SECONDS = 3.0
UNPREPARED_SECONDS = 60.0  # until somebody fixes the project's environment


def reconcile(job: ReleaseReconciler, *, now: datetime) -> Outcome:
    """Look once at a release, and the first thing it needs: collect, open, move, publish, close."""
    release = Release.objects.select_related("project").get(pk=job.release_id)
    if release.is_in_preparation or release.status == ReleaseStatus.VERIFYING:
        mirrors.watch(release.project, now=now)
    try:
        watching.settle(release.project, [release.candidate, release.merge_commit])
        compare.compare(job)
        for need in NEEDS:
            outcome = need(job, release, now)
            if outcome is not None:
                return outcome
    except (ApiError, GitError, NoDatabase, NotPrepared) as error:
        _note(job, str(error), release, now)
        unprepared = isinstance(error, NoDatabase | NotPrepared)
        pause = UNPREPARED_SECONDS if unprepared else getattr(error, "retry_after", None) or 10
        return Requeue(pause, str(error))
    _note(job, "", release, now)
    # A release that waits for people to look at production is woken by their ticks.
    rare = 10 if release.status == ReleaseStatus.VERIFYING else 1
    return Requeue(rare * LOOK_SECONDS, "Up to date.")


def _note(job: ReleaseReconciler, problem: str, release: Release, now: datetime) -> None:
    if job.problem == problem:
        return
    with transaction.atomic():
        ReleaseReconciler.objects.filter(pk=job.pk).update(problem=problem)
        if problem:
            audit.record_by_portal(
                "release.upkeep_failed", release, problem, outcome="failed", now=now
            )


def _follow_candidate(job: ReleaseReconciler, release: Release, now: datetime) -> Outcome | None:
    if release.status != ReleaseStatus.OPEN:
        return None
    project = release.project
    heads = Branch.heads(project)
    base = heads.get(project.production_branch)
    head = head_of_pull(release) if release.is_hotfix else heads.get(project.staging_branch)
    if not head or not base:
        return None
    return Requeue(0) if collect.move_candidate(release, head, base, now=now) else None


def _collect(job: ReleaseReconciler, release: Release, now: datetime) -> Outcome | None:
    if not release.is_in_preparation or (
        release.collected == release.candidate
        and not _was_read_for_others(release)
        and not _moved_since(release)
    ):
        return None
    collect.collect(release, mirror_of(release.project), now=now)
    return Requeue(0)


def _was_read_for_others(release: Release) -> bool:
    """Return whether the project has other databases than the release was read for; one query."""
    if release.status != ReleaseStatus.OPEN:
        return False
    now = {str(database.pk) for database in databases_of(release.project)}
    return set(release.heads_of) != now if release.heads_of else len(now) > 1


def _moved_since(release: Release) -> bool:
    """Return whether a database has moved since files were found missing: one that was stamped has
    them behind it. One query, and none without a problem.
    """
    if not release.migrations_problem or release.collected_at is None:
        return False
    rows = DatabaseStatus.objects.filter(environment__project=release.project)
    return rows.filter(environment__kind__in=LONG_LIVED, since__gt=release.collected_at).exists()


def _smoke_staging(job: ReleaseReconciler, release: Release, now: datetime) -> Outcome | None:
    """Make sure that a job asks staging the smoke tests while the release is prepared."""
    if not release.is_in_preparation or release.merge_commit or release.is_hotfix:
        return None
    smoke, created = StagingSmoke.objects.get_or_create(
        release=release, defaults={"created_at": now, "wake_at": now}
    )
    if not smoke.is_open:
        StagingSmoke.objects.filter(pk=smoke.pk).update(status=JobStatus.QUEUED, finished_at=None)
    if created or not smoke.is_open:
        wake_now(smoke, now=now)
    return None


def _publish(job: ReleaseReconciler, release: Release, now: datetime) -> Outcome | None:
    """Post the verdict on the candidate when it is not what GitHub was last told."""
    facts = facts_of(release.pk, now=now)
    readiness = gates.readiness_of(facts)
    state, sentence = gates.verdict(facts, readiness)
    line = gates.decisive(readiness)
    if job.verdict_gate != (gate := line.gate if line else ""):
        job.verdict_gate = gate
        ReleaseReconciler.objects.filter(pk=job.pk).update(verdict_gate=gate)
    if release.status == ReleaseStatus.PROMOTING and (release.merge_commit or state == "success"):
        return None  # the merge step sees to it; but what stopped it must not stay green
    if not publish.due(job, release, state, sentence, now):
        return None
    try:
        publish.tell(github_of(release.project), release, state=state, sentence=sentence, now=now)
    except ApiError as error:
        _note(job, error.sentence, release, now)
        return Requeue(LOOK_SECONDS, error.sentence)
    return Requeue(0)


def _close(job: ReleaseReconciler, release: Release, now: datetime) -> Outcome | None:
    """End the reconciler with the release, which is done when all after promotion is green."""
    if release.status in (ReleaseStatus.DONE, ReleaseStatus.ABANDONED, ReleaseStatus.ROLLED_BACK):
        return Finished(JobStatus.SUCCEEDED, "The release has ended.")
    if release.status != ReleaseStatus.VERIFYING:
        return None
    facts = facts_of(release.pk, now=now)
    later = _superseded_by(release)
    if not gates.readiness_of(facts).verified and not later:
        return None
    sentence = f"Superseded by {later}." if later else "Every check after promotion passed."
    with transaction.atomic():
        record.keep(release, now=now, superseded_by=later)
        fresh = Release.objects.locked(release.pk)
        fresh.move_to(ReleaseStatus.DONE, now=now)
        audit.record_by_portal("release.done", fresh, sentence, now=now)
    return Requeue(0)


def _superseded_by(release: Release) -> str:
    """Return the name of the release that was merged after this one; "" while production runs it,
    and while staging lacks what a hotfix brought.
    """
    newest = Release.objects.newest_merged().filter(project=release.project_id).first()
    if newest is None or newest.pk == release.pk or newest.status == ReleaseStatus.ROLLED_BACK:
        return ""
    return "" if release.is_hotfix and not release.back_merge.get("contained") else newest.name


NEEDS = (
    _follow_candidate,
    _collect,
    carried.read,
    plan,
    rehearse_release,
    open_pull,
    watch_pull,
    watch_back_merge,
    _smoke_staging,
    _publish,
    _close,
)
