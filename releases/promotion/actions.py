"""Starting a promotion, and what people do about a step that stopped."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from django.utils import timezone

from environments.models import Database, DeployOrder, EnvironmentKind
from portal import audit
from portal.audit import Actor
from portal.jobs import JobStatus, wake_now
from portal.ui.actions import Refused, action, require_reason
from releases import gates
from releases.gates.context import Facts, facts_of
from releases.locking import _as_seen, _still_open
from releases.models import Rollback
from releases.models.promotion import Promotion, PromotionStep, StepName
from releases.models.releases import Release, ReleaseStatus
from releases.rollback import assessment as rollback_assessment
from releases.steps import engine as steps_engine
from releases.variable_changes import compare

STEPS = {
    DeployOrder.DEPLOY_FIRST: (
        StepName.MERGE,
        StepName.DEPLOY,
        StepName.MIGRATE,
        StepName.SMOKE,
        StepName.SYNC_STAGING,
    ),
    # Railway deploys main when it is pushed, so the schema can only come first by coming before the
    # merge.
    DeployOrder.MIGRATE_FIRST: (
        StepName.MIGRATE,
        StepName.MERGE,
        StepName.DEPLOY,
        StepName.SMOKE,
        StepName.SYNC_STAGING,
    ),
}


def steps_of(release: Release) -> tuple[StepName, ...]:
    """Return the steps of the release's promotion in their order.

    Staging lacks a hotfix, so it cannot be moved forward.
    """
    names = STEPS[DeployOrder(release.project.deploy_order)]
    return (*names[:-1], StepName.BACK_MERGE) if release.is_hotfix else names


def stops_of(
    release: Release, databases: Sequence[Database]
) -> Iterator[tuple[StepName, Database | None]]:
    """Yield the steps with what each is about: one migration for each database, in order."""
    for name in steps_of(release):
        about = databases if name == StepName.MIGRATE else ()
        yield from ((name, database) for database in about or (None,))


@action("release.promoted", "releases.promote_release", guarded=True)
def promote(
    release: Release, *, actor: Actor, candidate: str | None = None, now: datetime | None = None
) -> Promotion:
    """Start the promotion when nothing stands in between; the worker carries it out."""
    now = now or timezone.now()
    Release.objects.select_for_update().get(pk=release.pk)
    facts = facts_of(release.pk, now=now)
    release = facts.release
    readiness = _ready_to_promote(facts, candidate, actor)
    promotion = _create_promotion(facts, _snapshot(readiness), actor, now)
    compare.keep(release, now=now)
    release.move_to(ReleaseStatus.PROMOTING, now=now)
    wake_now(promotion, now=now)
    rollback_assessment.begin(facts, now=now)
    content = gates.content_digest(release)
    data = {"candidate": release.candidate, "content": content, "gates": promotion.gates}
    message = f"Promotion of {release.name} at {release.candidate[:7]} started."
    audit.record(
        "release.promoted", actor=actor, subject=release, sentence=message, data=data, now=now
    )
    return promotion


def _ready_to_promote(facts: Facts, candidate: str | None, actor: Actor) -> gates.Readiness:
    """Return how the release stands; refuse where anything stands in between."""
    release = facts.release
    _still_open(release, " already")
    _as_seen(release, candidate, actor)
    if Rollback.objects.unsettled().filter(release__project=release.project).exists():
        raise Refused("Production is being rolled back. Finish or cancel that first.")
    if release.collected != release.candidate:
        raise Refused("The candidate has just changed and is loading. Try again in a moment.")
    readiness = gates.readiness_of(facts)
    if not readiness.ready:
        raise Refused(
            " ".join(f"{line.text}: {line.result.sentence}" for line in readiness.in_the_way)
        )
    return readiness


def _snapshot(readiness: gates.Readiness) -> list[dict[str, object]]:
    """Return what the gates said, as the promotion keeps it."""
    return [
        {
            "item": line.item.pk if line.item else None,
            "text": line.text,
            "state": line.result.state,
            "sentence": line.result.sentence,
        }
        for line in readiness.before
    ]


def _create_promotion(
    facts: Facts, snapshot: list[dict[str, object]], actor: Actor, now: datetime
) -> Promotion:
    """Create the job with its steps, and what production's databases report at its start."""
    release = facts.release
    revisions = {}
    for facts_of_database in facts.databases:
        place = facts_of_database.places.get(EnvironmentKind.PRODUCTION)
        revisions[str(facts_of_database.database.pk)] = place.revisions if place else None
    promotion = Promotion.objects.create(
        release=release,
        started_by=actor,
        gates=snapshot,
        found=revisions,
        created_at=now,
        wake_at=now,
    )
    databases = [database.database for database in facts.databases]
    PromotionStep.objects.bulk_create(
        PromotionStep(
            promotion=promotion,
            position=position,
            name=name,
            database=database,
            called=database.called if database else "",
        )
        for position, (name, database) in enumerate(stops_of(release, databases))
    )
    return promotion


@action("step.retried", "releases.repair_release")
def retry_step(release: Release, *, actor: Actor, now: datetime | None = None) -> None:
    """Let the failed step look at the world again."""
    now = now or timezone.now()
    promotion, step = _failed_step(release)
    steps_engine.retry(release, promotion, step, actor=actor, now=now, migration_run=None)


@action("step.deployed", "releases.repair_release")
def deploy_commit(
    release: Release, *, actor: Actor, candidate: str | None = None, now: datetime | None = None
) -> None:
    """Let the failed deploy step deploy the merge commit on each service that does not run it."""
    now = now or timezone.now()
    promotion, step = _failed_step(release)
    _as_seen(release, candidate, actor)
    if step.name != StepName.DEPLOY:
        raise Refused(f"The step that failed is {step}, not the deployment.")
    facts = facts_of(release.pk, now=now)
    commit = facts.release.merge_commit
    behind = [
        live.service
        for live in facts.in_production
        if live.at_commits
        and gates.liveness(live, commit, since=facts.fresh_since)[0] != gates.PASS
    ]
    steps_engine.again(promotion, step, now, deploy_wanted=behind)
    message = f"Deploy {commit[:7]} on {', '.join(behind) or 'no service'}."
    data = {"services": behind}
    audit.record(
        "step.deployed", actor=actor, subject=release, sentence=message, data=data, now=now
    )


@action("step.skipped", "releases.repair_release", guarded=True)
def skip_step(release: Release, *, actor: Actor, reason: str, now: datetime | None = None) -> None:
    """Go on without the failed step, by a person's word. The merge cannot be skipped."""
    now = now or timezone.now()
    promotion, step = _failed_step(release)
    if step.name == StepName.MERGE:
        raise Refused(
            "Without the merge nothing is promoted. Retry the step, or cancel the promotion."
        )
    steps_engine.skip(release, promotion, step, actor=actor, reason=reason, now=now)


@action("promotion.abandoned", "releases.abandon_release")
def abandon_promotion(
    release: Release, *, actor: Actor, reason: str, now: datetime | None = None
) -> None:
    """Give a stopped promotion up: before the merge the release is prepared again, after it stays
    as evidence.
    """
    now = now or timezone.now()
    require_reason(reason)
    promotion, step = _failed_step(release)
    release = Release.objects.locked(release.pk)
    Promotion.objects.filter(pk=promotion.pk).update(status=JobStatus.CANCELLED, finished_at=now)
    then = ReleaseStatus.ABANDONED if release.merge_commit else ReleaseStatus.OPEN
    release.move_to(then, now=now)
    after = "merged" if release.merge_commit else "not merged"
    message = f"Promotion canceled at {step} ({after}): “{reason[:500]}”"
    data = {"step": step.name}
    audit.record(
        "promotion.abandoned", actor=actor, subject=release, sentence=message, data=data, now=now
    )


def _failed_step(release: Release) -> tuple[Promotion, PromotionStep]:
    """Return the stopped promotion under a row lock and its step; refuse during a rollback."""
    stopped = steps_engine.stopped(release.promotions, "promotion")
    if release.rollbacks.unsettled().exists():
        raise Refused("A rollback of this release is running. Finish or cancel it first.")
    return stopped
