"""The job that keeps a release in step with the world until it ends."""

from collections.abc import Sequence
from datetime import datetime

from django.conf import settings
from django.db import transaction

from environments.branches import fast_forward
from environments.clients import github_of
from environments.clones.clone import mirror_of
from environments.databases import pending
from environments.databases.address import NoDatabase
from environments.git.calls import GitError
from environments.models import (
    LONG_LIVED,
    VALID,
    Branch,
    Database,
    DatabaseStatus,
    Direction,
    Environment,
    EnvironmentDatabase,
    EnvironmentKind,
    MigrationPlan,
    Rehearsal,
    databases_of,
    places_of,
)
from environments.quota import pace
from environments.rehearsals.actions import queue_rehearsal
from environments.schema.run.virtualenvs import NotPrepared
from environments.services import watching
from portal import audit
from portal.jobs import Finished, JobStatus, Outcome, Requeue, wake_now
from portal.outbound.http import ApiError, WatchOnly
from releases import gates
from releases.commit_status import publish
from releases.gates import record
from releases.gates.context import facts_of
from releases.gates.databases import heads_of, migrations_of
from releases.github_mirror import sync as github_mirror_sync
from releases.lifecycle import carried, collect
from releases.models import StagingSmoke
from releases.models.pull_requests import GitHubSync, PullRequest
from releases.models.releases import Release, ReleaseReconciler, ReleaseStatus
from releases.variable_changes import compare

LOOK_SECONDS = 3.0
UNPREPARED_SECONDS = 60.0  # until somebody mends the project's environment


def reconcile(job: ReleaseReconciler, *, now: datetime) -> Outcome:
    """One look at a release, and the first thing it needs: collect, open, move, publish, close."""
    release = Release.objects.select_related("project").get(pk=job.release_id)
    if release.is_in_preparation or release.status == ReleaseStatus.VERIFYING:
        pace.watch(release.project, now=now)
    try:
        watching.settle(release.project, [release.candidate, release.merge_commit])
        compare.compare(job)
        for need in (
            _follow_candidate,
            _collect,
            carried.read,
            _plan,
            _rehearse,
            _open_pull,
            _watch_pull,
            _watch_back_merge,
            _smoke_staging,
            _publish,
            _close,
        ):
            outcome = need(job, release, now)
            if outcome is not None:
                return outcome
    except (ApiError, GitError) as error:
        _note(job, str(error), release, now)
        return Requeue(getattr(error, "retry_after", None) or 10, str(error))
    except (NoDatabase, NotPrepared) as error:
        _note(job, str(error), release, now)
        return Requeue(UNPREPARED_SECONDS, str(error))
    _note(job, "", release, now)
    # A release that waits for people to look at production is woken by their ticks.
    return Requeue(
        10 * LOOK_SECONDS if release.status == ReleaseStatus.VERIFYING else LOOK_SECONDS,
        "Up to date.",
    )


def _note(job: ReleaseReconciler, problem: str, release: Release, now: datetime) -> None:
    if job.problem == problem:
        return
    with transaction.atomic():
        ReleaseReconciler.objects.filter(pk=job.pk).update(problem=problem)
        if problem:
            audit.record(
                "release.upkeep_failed",
                actor=None,
                subject=release,
                outcome="failed",
                sentence=problem,
                now=now,
            )


def _follow_candidate(job: ReleaseReconciler, release: Release, now: datetime) -> Outcome | None:
    if release.status != ReleaseStatus.OPEN:
        return None
    project = release.project
    heads = dict(Branch.objects.filter(project=project).values_list("name", "head"))
    base = heads.get(project.production_branch)
    head = _head_of_pull(release) if release.is_hotfix else heads.get(project.staging_branch)
    if not head or not base:
        return None
    return Requeue(0) if collect.move_candidate(release, head, base, now=now) else None


def _head_of_pull(release: Release) -> str | None:
    """Where the pull request of a hotfix is now; None while nobody can tell, or it is not what
    it was.
    """
    pulls = PullRequest.objects.filter(
        project=release.project, number=release.pull_number or 0, state="open", fork=False
    )
    return (
        pulls.filter(base=release.project.production_branch)
        .values_list("head_sha", flat=True)
        .first()
    )


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
    """Whether the project has other databases than those for which the release was read; one
    query.
    """
    if release.status != ReleaseStatus.OPEN:
        return False
    now = {str(one.pk) for one in databases_of(release.project)}
    return set(release.heads_of) != now if release.heads_of else len(now) > 1


def _moved_since(release: Release) -> bool:
    """Whether a database has moved since files were found missing: one that was stamped has them
    behind it. One query, and none without a problem.
    """
    if not release.migrations_problem or release.collected_at is None:
        return False
    rows = DatabaseStatus.objects.filter(environment__project=release.project)
    return rows.filter(environment__kind__in=LONG_LIVED, since__gt=release.collected_at).exists()


def _plan(job: ReleaseReconciler, release: Release, now: datetime) -> Outcome | None:
    """Has the collected migrations planned for each database, by a job of its own: once, and anew
    for another order of deploying or when the database is elsewhere than the plan says. What
    staging ran keeps the SQL that was planned.
    """
    if not release.is_in_preparation or not release.migrations or release.migrations_problem:
        return None
    databases = databases_of(release.project)
    for database in databases:
        if migrations_of(release, database, databases):
            _plan_one(release, database, heads_of(release, database, databases) or (), now)
    return None


def _plan_one(release: Release, database: Database, heads: Sequence[str], now: datetime) -> None:
    order = database.schema_order
    with transaction.atomic():
        plan, created = MigrationPlan.objects.select_related("database").get_or_create(
            project=release.project,
            database=database,
            commit=release.candidate,
            base=release.base,
            defaults={"created_at": now, "wake_at": now},
        )
        stale = not created and not plan.is_open and plan.met.get("order", order) != order
        stale = stale or (plan.status == JobStatus.SUCCEEDED and pending.moved(plan, heads))
        if stale:
            MigrationPlan.objects.filter(pk=plan.pk).update(
                status=JobStatus.QUEUED, started_at=None, finished_at=None
            )
        elif plan.status == JobStatus.SUCCEEDED:
            pending.keep_rendered(plan)
        if created or stale:
            wake_now(plan, now=now)


def _rehearse(job: ReleaseReconciler, release: Release, now: datetime) -> Outcome | None:
    """Has the collected migrations rehearsed for each database that they are still to run in: once
    for every revision it is at, and again after a day. A rehearsal that somebody cancelled is left
    to people.
    """
    if (
        not settings.REHEARSE
        or release.status != ReleaseStatus.OPEN
        or release.collected != release.candidate
    ):
        return None
    if not release.migrations or release.migrations_problem:
        return None
    # Staging may be at revisions that a hotfix's branch does not know.
    databases = databases_of(release.project)
    kinds = (
        [EnvironmentKind.PRODUCTION]
        if release.is_hotfix
        else [EnvironmentKind.STAGING, EnvironmentKind.PRODUCTION]
    )
    environments = Environment.objects.filter(project=release.project, kind__in=kinds, gone_at=None)
    # Production first, for which the gate waits.
    places = places_of(environments.order_by("kind"), databases)
    rows = Rehearsal.objects.filter(
        environment__in=[place.environment_id for place in places],
        commit=release.candidate,
        direction=Direction.UPGRADE,
    ).order_by("environment_id", "database_id", "-pk")
    newest = {
        (row.environment_id, row.database_id): row
        for row in rows.distinct("environment_id", "database_id").only(
            "environment", "database", "status", "start", "finished_at"
        )
    }
    for place in places:
        heads, at = heads_of(release, place.database, databases), place.revisions
        behind = heads is not None and at is not None and sorted(at) != sorted(heads)
        brings = migrations_of(release, place.database, databases)
        if (
            brings
            and behind
            and _is_outdated(newest.get((place.environment_id, place.database_id)), place, now)
        ):
            queue_rehearsal(place.environment, place.database, commit=release.candidate, now=now)
    return None


def _is_outdated(row: Rehearsal | None, place: EnvironmentDatabase, now: datetime) -> bool:
    if row is None:
        return True
    if row.is_open or row.status == JobStatus.CANCELLED or row.finished_at is None:
        return False
    moved = row.start is not None and sorted(row.start) != sorted(place.revisions or ())
    read_since = place.revisions_at is not None and place.revisions_at > row.finished_at
    return (moved and read_since) or now - row.finished_at > VALID


def _open_pull(job: ReleaseReconciler, release: Release, now: datetime) -> Outcome | None:
    """Finds the promotion pull request, or opens it. Only one can be open for the two branches."""
    if release.status != ReleaseStatus.OPEN or release.pull_number is not None:
        return None
    project, github = release.project, github_of(release.project)
    pull = github.find_pull(head=project.staging_branch, base=project.production_branch)
    word = "found"
    if pull is None:
        word = "opened"
        body = (
            f"{release.notes}\n\nRelease {release.name}:"
            f" {settings.PORTAL_URL}/releases/{release.pk}/"
        )
        try:
            pull = github.open_pull(
                head=project.staging_branch,
                base=project.production_branch,
                title=f"Release {release.name}",
                body=body,
            )
        except WatchOnly:
            return None  # until somebody opens it
    with transaction.atomic():
        github_mirror_sync.keep_pull(project, pull, now=now)
        Release.objects.filter(pk=release.pk, pull_number=None).update(pull_number=pull.number)
        GitHubSync.objects.filter(project=project).update(wake_at=now)
        message = f"Promotion pull request #{pull.number} {word}."
        audit.record(
            "release.pull_opened",
            actor=None,
            subject=release,
            sentence=message,
            data={"number": pull.number},
            now=now,
        )
    return Requeue(0)


def _watch_pull(job: ReleaseReconciler, release: Release, now: datetime) -> Outcome | None:
    """Reads the pull request by itself when the newest reading of open ones no longer held it."""
    if not release.is_in_preparation or release.pull_number is None:
        return None
    row = PullRequest.objects.filter(project=release.project, number=release.pull_number).first()
    synced_at = release.project.github_sync.synced_at
    if row is None or row.state != "open" or synced_at is None or row.seen_at >= synced_at:
        return None
    pull = github_of(release.project).pull(release.pull_number)
    github_mirror_sync.keep_pull(release.project, pull, now=now)
    # Still open, and yet in no list: the next full reading must show its checks.
    return None if (pull.state, pull.head_sha) == ("open", row.head_sha) else Requeue(0)


def _watch_back_merge(job: ReleaseReconciler, release: Release, now: datetime) -> Outcome | None:
    """Sees whether staging holds the hotfix, and how its back-merge stands; what it held once is
    not asked again.
    """
    known = release.back_merge
    if not release.is_hotfix or release.status != ReleaseStatus.VERIFYING or known.get("contained"):
        return None
    project, github = release.project, github_of(release.project)
    seen = known | {
        "contained": not github.compare(project.staging_branch, release.merge_commit).ahead_by
    }
    if not seen["contained"]:
        pull = fast_forward.find_back_merge(project, github)
        seen |= {"number": pull.number, "state": "open"} if pull else {"state": "closed"}
    if seen == known:
        return None
    with transaction.atomic():
        Release.objects.filter(pk=release.pk).update(back_merge=seen)
        if seen["contained"]:
            message = f"{project.staging_branch} holds {release.merge_commit[:7]}."
            audit.record(
                "release.back_merged",
                actor=None,
                subject=release,
                sentence=message,
                data=seen,
                now=now,
            )
    return Requeue(0)


def _smoke_staging(job: ReleaseReconciler, release: Release, now: datetime) -> Outcome | None:
    """Sees that a job asks staging the project's smoke tests while the release is in
    preparation.
    """
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
    """Posts the verdict on the candidate when it is not what GitHub was last told."""
    facts = facts_of(release.pk, now=now)
    standing = gates.stand(facts)
    state, sentence = gates.verdict(facts, standing)
    line = gates.decisive(standing)
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
    """Ends the reconciler with the release; a verified release is done when everything after
    promotion is green.
    """
    if release.status in (ReleaseStatus.DONE, ReleaseStatus.ABANDONED, ReleaseStatus.ROLLED_BACK):
        return Finished(JobStatus.SUCCEEDED, "The release has ended.")
    if release.status != ReleaseStatus.VERIFYING:
        return None
    facts = facts_of(release.pk, now=now)
    later = _superseded_by(release)
    if not gates.stand(facts).verified and not later:
        return None
    sentence = f"Superseded by {later}." if later else "Every check after promotion passed."
    with transaction.atomic():
        record.keep(release, now=now, superseded_by=later)
        fresh = (
            Release.objects.select_for_update(of=("self",))
            .select_related("project")
            .get(pk=release.pk)
        )
        fresh.move_to(ReleaseStatus.DONE, now=now)
        audit.record("release.done", actor=None, subject=fresh, sentence=sentence, now=now)
    return Requeue(0)


def _superseded_by(release: Release) -> str:
    """The name of the release that was merged after this one; "" while production runs it, and
    while staging lacks what a hotfix brought.
    """
    newest = Release.objects.newest_merged().filter(project=release.project_id).first()
    if newest is None or newest.pk == release.pk or newest.status == ReleaseStatus.ROLLED_BACK:
        return ""
    return "" if release.is_hotfix and not release.back_merge.get("contained") else newest.name
