"""What people do to go back: ask for a rollback or a downgrade, sign it, and mend a step that
stopped.
"""

from datetime import datetime

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils import timezone

from environments.databases.actions import queue_downgrade
from environments.findings.repair_queue import _repair
from environments.models import (
    Database,
    Direction,
    Environment,
    EnvironmentKind,
    MigrationRun,
    Rehearsal,
    Repair,
    RepairKind,
    passed_rehearsal,
    unknown_staging,
)
from environments.rehearsals.actions import start_rehearsal
from environments.schema.downgrade.compatibility import DOWNGRADE_FIRST, PENDING
from portal import audit
from portal.audit import Actor
from portal.configuration.signing import counts
from portal.configuration.signing import require as require_signer
from portal.jobs import JobStatus, wake_now
from portal.outbound.parsing import JsonObject
from portal.ui.actions import Refused, action, require_reason, require_seen
from releases.models import (
    Advice,
    Downgrade,
    Rollback,
    RollbackApproval,
    RollbackStep,
    RollbackStepName,
)
from releases.models.promotion import Promotion
from releases.models.releases import Release, ReleaseStatus
from releases.models.rollback import downgrade_content
from releases.rollback import assessment as rollback_assessment
from releases.steps import engine as steps_engine

# What the adviser saw longer ago than this is looked at again before anybody acts on it.
APPROVE = "releases.approve_release"


@action("rollback.requested", "releases.roll_back_release", guarded=True)
def request_rollback(
    release: Release,
    *,
    actor: User,
    reason: str,
    content: str | None = None,
    now: datetime | None = None,
) -> Rollback:
    """Asks for production to go back to what ran before `release`; it begins once others have
    approved.

    `content` is the digest of what the person's page showed (None: the caller has just read it). A
    freeze does not stop it: it is meant for what can wait.
    """
    now = now or timezone.now()
    require_reason(reason)
    release, row = _in_production(release, now)
    require_seen(actor, content, "deployments")
    if content and content != row.content:
        raise Refused(
            "The deployments to restore have changed since you opened this page. Reload it."
        )
    if row.verdict == PENDING:
        raise Refused(
            f"{' '.join(row.reasons)} Wait until it has ended, or cancel it, then request the "
            "rollback again."
        )
    if row.verdict == DOWNGRADE_FIRST:
        raise Refused(
            "The earlier code does not work with the current schema. Downgrade the database first."
        )
    if not row.targets:
        raise Refused(
            "Railway keeps no earlier deployment to restore. Fix the problem in a new release."
        )
    rollback = _create(release, row, actor, reason, now)
    wake_now(rollback, now=now)
    names = ", ".join(
        f"{target['service']} to {target['commit'][:7]}" for target in rollback.targets
    )
    message = (
        f"Rollback of {release.name} asked for ({rollback.verdict}): {names}."
        f" “{reason.strip()[:500]}”"
    )
    data = {
        "content": rollback.content,
        "targets": rollback.targets,
        "verdict": rollback.verdict,
        "reason": reason,
    }
    audit.record(
        "rollback.requested", actor=actor, subject=release, sentence=message, data=data, now=now
    )
    return rollback


def _create(release: Release, row: Advice, actor: User, reason: str, now: datetime) -> Rollback:
    try:
        with transaction.atomic():
            rollback = Rollback.objects.create(
                release=release,
                requested_by=actor,
                reason=reason.strip()[:2000],
                verdict=row.verdict,
                targets=row.targets,
                content=row.content,
                created_at=now,
                wake_at=now,
            )
    except IntegrityError:
        raise Refused("A rollback of this release is already running.") from None
    RollbackStep.objects.create(rollback=rollback, position=0, name=RollbackStepName.APPROVE)
    plan_steps(rollback)
    return rollback


def plan_steps(job: Rollback) -> None:
    """Makes the steps that follow the approval anew, for the rollback's targets."""
    job.steps.exclude(name=RollbackStepName.APPROVE).delete()
    names = [(RollbackStepName.RESTORE, target["service"]) for target in job.targets]
    names += [(RollbackStepName.LIVE, ""), (RollbackStepName.SMOKE, "")]
    RollbackStep.objects.bulk_create(
        RollbackStep(rollback=job, position=position, name=name, service=service)
        for position, (name, service) in enumerate(names, start=1)
    )


def counted(job: Rollback) -> list[RollbackApproval]:
    """The approvals that hold: of this content, by people who still may, other than the one who
    asked.
    """
    given = job.approvals.filter(counts(APPROVE), content=job.content, lapsed_at=None)
    given = given.exclude(user=job.requested_by_id)
    return list(given.select_related("user"))


def _in_production(release: Release, now: datetime) -> tuple[Release, Advice]:
    """The release under a row lock, with fresh advice on it; refuses where going back makes no
    sense now.
    """
    release = (
        Release.objects.select_for_update(of=("self",)).select_related("project").get(pk=release.pk)
    )
    if message := rollback_assessment.over(release):
        raise Refused(message)
    if not release.merge_commit:
        raise Refused("The release is not merged yet. Cancel its promotion instead.")
    if Promotion.objects.open().filter(release=release).exists():
        raise Refused("The promotion is still running. Wait until it has ended or stopped.")
    later = Release.objects.filter(project=release.project, status=ReleaseStatus.PROMOTING).exclude(
        pk=release.pk
    )
    if later.exists():
        raise Refused(
            f"Release {later[0].name} is being promoted. Wait until that has ended or stopped."
        )
    row = Advice.objects.filter(release=release).first()
    if row is None:
        raise Refused("The rollback assessment is still running. Try again in a moment.")
    if message := rollback_assessment.outdated(row, release, now=now):
        raise Refused(f"{message} The rollback assessment is running again. Try again in a moment.")
    return release, row


@action("rollback.approved", "releases.approve_release", guarded=True)
def approve_rollback(
    release: Release, *, actor: Actor, content: str, comment: str = "", now: datetime | None = None
) -> RollbackApproval:
    """Signs exactly the deployments that are to be restored.

    Whoever asked for the rollback cannot.
    """
    now = now or timezone.now()
    job = Rollback.objects.open().select_for_update().filter(release=release).first()
    step = job.steps.order_by("position").first() if job else None
    if job is None or step is None or step.finished_at is not None:
        raise Refused("No rollback of this release needs an approval.")
    if actor is None or actor.pk == job.requested_by_id:
        raise Refused("You requested this rollback, so a second person must approve it.")
    require_signer(actor, APPROVE)
    if content != job.content:
        raise Refused(
            "The deployments to restore have changed since you opened this page. Reload it."
        )
    approval, created = RollbackApproval.objects.get_or_create(
        rollback=job,
        user=actor,
        content=job.content,
        lapsed_at=None,
        defaults={"comment": comment.strip()[:2000], "given_at": now},
    )
    if created:
        wake_now(job, now=now)
        data = {"content": job.content, "targets": job.targets, "comment": approval.comment}
        message = f"Rollback approved{f': “{approval.comment[:500]}”' if approval.comment else '.'}"
        audit.record(
            "rollback.approved", actor=actor, subject=release, sentence=message, data=data, now=now
        )
    return approval


@action("step.retried", "releases.repair_release")
def retry_rollback(release: Release, *, actor: Actor, now: datetime | None = None) -> None:
    """Lets the stopped step of the rollback look at the world again; what was restored is found
    and not repeated.
    """
    now = now or timezone.now()
    job, step = steps_engine.stopped(release.rollbacks, "rollback")
    steps_engine.again(step, asked=None)
    steps_engine.go_on(job, now)
    audit.record(
        "step.retried", actor=actor, subject=release, sentence=f"{step} is being retried.", now=now
    )


@action("step.skipped", "releases.repair_release", guarded=True)
def skip_rollback(
    release: Release, *, actor: Actor, reason: str, now: datetime | None = None
) -> None:
    """Goes on without the stopped step of the rollback, by a person's word.

    The approval cannot be skipped.
    """
    now = now or timezone.now()
    job, step = steps_engine.stopped(release.rollbacks, "rollback")
    require_reason(reason)
    if step.name == RollbackStepName.APPROVE:
        raise Refused(
            "Without approval nothing is restored. Retry the step, or cancel the rollback."
        )
    steps_engine.skip(step, actor=actor, reason=reason, now=now)
    steps_engine.go_on(job, now)
    data = {"step": str(step), "reason": reason[:2000], "before": step.sentence}
    message = f"{step}: “{reason[:500]}”"
    audit.record("step.skipped", actor=actor, subject=release, sentence=message, data=data, now=now)


@action("rollback.abandoned", "releases.repair_release")
def abandon_rollback(
    release: Release, *, actor: Actor, reason: str, now: datetime | None = None
) -> None:
    """Gives up a rollback that waits for approval or has stopped.

    What was restored stays restored.
    """
    now = now or timezone.now()
    require_reason(reason)
    job = Rollback.objects.unsettled().select_for_update().filter(release=release).first()
    if job is None:
        raise Refused("There is no rollback of this release to cancel.")
    begun = job.steps.exclude(name=RollbackStepName.APPROVE).exclude(started_at=None)
    if job.is_open and begun.exists():
        raise Refused("The rollback is running. Wait until it has ended or stopped.")
    # A worker that looks at it in this moment finds that it no longer holds it.
    Rollback.objects.filter(pk=job.pk).update(status=JobStatus.CANCELLED, finished_at=now)
    done = [
        one.service
        for one in begun
        if one.name == RollbackStepName.RESTORE and one.status == "done"
    ]
    after = f"restored: {', '.join(done)}" if done else "nothing was restored"
    message = f"Rollback canceled ({after}): “{reason.strip()[:500]}”"
    audit.record(
        "rollback.abandoned",
        actor=actor,
        subject=release,
        sentence=message,
        data={"restored": done},
        now=now,
    )


@action("downgrade.rehearsed", "releases.roll_back_release")
def rehearse_downgrade(release: Release, *, actor: Actor, now: datetime | None = None) -> Rehearsal:
    """Has exactly the next downgrade rehearsed on a copy of production's schema."""
    now = now or timezone.now()
    release, row = _in_production(release, now)
    if row.downgrade is None:
        raise Refused(
            row.downgrade_problem or "Production's database has no revision of this release."
        )
    rehearsal = start_rehearsal(
        _production(release),
        database=_database(release, row.downgrade),
        actor=None,
        commit=row.downgrade["commit"],
        direction=Direction.DOWNGRADE,
        now=now,
    )
    message = f"Rehearse that {row.downgrade['file']['id']} is taken back."
    audit.record("downgrade.rehearsed", actor=actor, subject=release, sentence=message, now=now)
    return rehearsal


def _production(release: Release) -> Environment:
    found = (
        Environment.objects.present()
        .filter(project=release.project, kind=EnvironmentKind.PRODUCTION)
        .first()
    )
    if found is None:
        raise Refused("There is no production environment on Railway.")
    return found


def _database(release: Release, known: JsonObject) -> Database:
    """The database that the adviser's next step back is about."""
    databases = Database.objects.filter(project=release.project).exclude(alembic="")
    found = (
        databases.filter(pk=known["database_id"]).first()
        if "database_id" in known
        else databases.first()
    )
    if found is None:
        raise Refused(
            "The project no longer has this database. The rollback assessment is running again."
        )
    found.project = release.project
    return found


@action("downgrade.requested", "releases.roll_back_release", guarded=True)
def request_downgrade(
    release: Release,
    *,
    actor: User,
    typed: str,
    reason: str,
    content: str | None = None,
    now: datetime | None = None,
) -> Downgrade:
    """Asks for one revision to be taken back in production.

    The person types the database's name.
    """
    now = now or timezone.now()
    require_reason(reason)
    release, row = _in_production(release, now)
    known = row.downgrade
    if known is None:
        raise Refused(
            row.downgrade_problem or "Production's database has no revision of this release."
        )
    require_seen(actor, content, "downgrade")
    if content and content != downgrade_content(known):
        raise Refused("The downgrade has changed since you opened this page. Reload it.")
    if typed.strip() != known["database"]:
        raise Refused(
            f"Type the name of the database, {known['database']}, to confirm the downgrade. "
            "Nothing was done."
        )
    database = _database(release, known)
    if message := unknown_staging(database):
        raise Refused(
            f"Production is downgraded only after a successful downgrade of staging. {message}"
        )
    environment = _production(release)
    rehearsal = _rehearsed(environment, database, known, now)
    values = {
        key: known[key] for key in ("commit", "database", "start", "target", "file", "losses")
    }
    try:
        with transaction.atomic():
            wish = Downgrade.objects.create(
                release=release,
                environment=environment,
                content=downgrade_content(known),
                rehearsal=rehearsal,
                reason=reason.strip()[:2000],
                requested_by=actor,
                requested_at=now,
                **values,
            )
    except IntegrityError:
        raise Refused("A downgrade already needs an approval.") from None
    message = f"Take {known['file']['id']} back in {known['database']}: “{wish.reason[:500]}”"
    data = {key: values[key] for key in ("commit", "database", "start", "target", "file", "losses")}
    data |= {"content": wish.content, "rehearsal": rehearsal.pk}
    audit.record(
        "downgrade.requested", actor=actor, subject=release, sentence=message, data=data, now=now
    )
    return wish


@action("revert.requested", "releases.roll_back_release")
def open_revert(release: Release, *, actor: Actor, now: datetime | None = None) -> Repair:
    """Asks for the pull request that takes a rolled-back release out of production's branch."""
    rows = Release.objects.select_for_update(of=("self",)).select_related("project")
    release = rows.get(pk=release.pk)
    if release.status != ReleaseStatus.ROLLED_BACK or not release.pull_number:
        raise Refused(f"Release {release.name} was not rolled back: there is nothing to revert.")
    number, branch = release.pull_number, release.project.production_branch
    return _repair(
        release.project,
        RepairKind.REVERT,
        "revert.requested",
        f"Open the pull request that reverts #{number} on {branch}.",
        actor=actor,
        now=now,
        subject=f"#{number}",
        wanted=str(number),
    )


def _rehearsed(
    environment: Environment, database: Database, known: JsonObject, now: datetime
) -> Rehearsal:
    """The rehearsal of exactly this downgrade; refuses without one that passed and is fresh."""
    passed = passed_rehearsal(
        environment,
        database,
        commit=known["commit"],
        start=known["start"],
        files=[known["file"]],
        direction=Direction.DOWNGRADE,
        now=now,
    )
    if passed is None:
        raise Refused(
            f"Exactly this downgrade of {known['file']['id']} has not passed a rehearsal within a"
            " day."
        )
    return passed


@action("downgrade.approved", "releases.approve_release", guarded=True)
def approve_downgrade(
    release: Release, *, actor: Actor, content: str, now: datetime | None = None
) -> MigrationRun:
    """Signs a downgrade that somebody else asked for, which starts it: same content, same
    rehearsal, or not at all.
    """
    now = now or timezone.now()
    release, row = _in_production(release, now)
    wish = _waiting(release)
    if actor is None or actor.pk == wish.requested_by_id:
        raise Refused("You requested this downgrade, so a second person must approve it.")
    require_signer(actor, APPROVE)
    if content != wish.content:
        raise Refused("The downgrade has changed since you opened this page. Reload it.")
    if row.downgrade is None or downgrade_content(row.downgrade) != wish.content:
        raise Refused(
            "The database or the file has changed since the request. Withdraw it and request it "
            "again."
        )
    database = wish.rehearsal.database
    if message := unknown_staging(database):
        raise Refused(
            f"Production is downgraded only after a successful downgrade of staging. {message}"
        )
    _rehearsed(wish.environment, database, row.downgrade, now)
    run = queue_downgrade(
        wish.environment,
        database,
        commit=wish.commit,
        target=wish.target,
        file=wish.file,
        requested_by=wish.requested_by,
        approved_by=actor,
        now=now,
    )
    Downgrade.objects.filter(pk=wish.pk).update(approved_by=actor, approved_at=now, run=run)
    rollback_assessment.hurry(release, now=now)
    message = f"Approved downgrade of {wish.file['id']} in {wish.database}; run {run.pk} does it."
    data = {
        "content": wish.content,
        "run": run.pk,
        "losses": wish.losses,
        "requested_by": wish.requested_by_id,
    }
    audit.record(
        "downgrade.approved", actor=actor, subject=release, sentence=message, data=data, now=now
    )
    return run


def _waiting(release: Release) -> Downgrade:
    wish = (
        Downgrade.objects.select_for_update(of=("self",))
        .select_related("environment__project", "requested_by", "rehearsal__database__project")
        .filter(release=release, approved_at=None, withdrawn_at=None)
        .first()
    )
    if wish is None:
        raise Refused("No downgrade of this release needs an approval.")
    return wish


@action("downgrade.withdrawn", "releases.roll_back_release")
def withdraw_downgrade(release: Release, *, actor: Actor, now: datetime | None = None) -> None:
    """Takes back the wish for a downgrade that nobody has approved yet."""
    now = now or timezone.now()
    wish = _waiting(release)
    Downgrade.objects.filter(pk=wish.pk).update(withdrawn_at=now)
    message = f"{wish.file['id']} is not taken back."
    audit.record("downgrade.withdrawn", actor=actor, subject=release, sentence=message, now=now)
