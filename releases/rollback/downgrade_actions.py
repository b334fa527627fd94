"""Actions of a downgrade in production: rehearse it, request it, approve it."""

from datetime import datetime

from django.contrib.auth.models import User
from django.utils import timezone

from environments.databases.actions import queue_downgrade
from environments.databases.permission import APPROVE
from environments.models import (
    Database,
    Direction,
    Environment,
    EnvironmentKind,
    MigrationRun,
    Rehearsal,
    passed_rehearsal,
    unknown_staging,
)
from environments.rehearsals.actions import start_rehearsal
from portal import audit
from portal.audit import Actor
from portal.configuration.signing import require_second
from portal.outbound.parsing import JsonObject
from portal.ui.actions import Refused, action, refuse_second, require_reason, require_seen
from releases.models import Downgrade, RollbackAssessment
from releases.models.promotion import Promotion
from releases.models.releases import Release, ReleaseStatus
from releases.models.rollback import downgrade_content
from releases.rollback import assessment as rollback_assessment

CHANGED_SINCE = (
    "The database or the file has changed since the request. Withdraw it and request it again."
)
# What of the assessment's next step back its request keeps.
KEPT = ("commit", "database", "start", "target", "file", "losses")


def in_production(release: Release, now: datetime) -> tuple[Release, RollbackAssessment]:
    """Return the release under a row lock, with a fresh assessment; refuse where there is no way
    back now.
    """
    release = Release.objects.locked(release.pk)
    if message := rollback_assessment.over(release):
        raise Refused(message)
    if not release.merge_commit:
        raise Refused("The release is not merged yet. Cancel its promotion instead.")
    if Promotion.objects.open().filter(release=release).exists():
        raise Refused("The promotion is still running. Wait until it has ended or stopped.")
    promoting = Release.objects.filter(project=release.project, status=ReleaseStatus.PROMOTING)
    if later := promoting.exclude(pk=release.pk).first():
        raise Refused(
            f"Release {later.name} is being promoted. Wait until that has ended or stopped."
        )
    row = RollbackAssessment.objects.filter(release=release).first()
    if row is None:
        raise Refused("The rollback assessment is still running. Try again in a moment.")
    if message := rollback_assessment.outdated(row, release, now=now):
        raise Refused(f"{message} The rollback assessment is running again. Try again in a moment.")
    return release, row


@action("downgrade.rehearsed", "releases.roll_back_release")
def rehearse_downgrade(release: Release, *, actor: Actor, now: datetime | None = None) -> Rehearsal:
    """Have exactly the next downgrade rehearsed on a copy of production's schema."""
    now = now or timezone.now()
    release, row = in_production(release, now)
    known = _next_downgrade(row)
    rehearsal = start_rehearsal(
        _production(release),
        database=_database(release, known),
        actor=None,
        commit=known["commit"],
        direction=Direction.DOWNGRADE,
        release=release.name,
        now=now,
    )
    message = f"Rehearse that {known['file']['id']} is taken back."
    audit.record("downgrade.rehearsed", actor=actor, subject=release, sentence=message, now=now)
    return rehearsal


def _production(release: Release) -> Environment:
    production = Environment.objects.present().of_kind(release.project, EnvironmentKind.PRODUCTION)
    if production is None:
        raise Refused("There is no production environment on Railway.")
    return production


def _database(release: Release, known: JsonObject) -> Database:
    """Return the database that the assessment's next step back is about."""
    databases = Database.objects.filter(project=release.project).exclude(alembic="")
    if "database_id" in known:  # not in assessments from before projects had several databases
        databases = databases.filter(pk=known["database_id"])
    database = databases.first()
    if database is None:
        raise Refused(
            "The project no longer has this database. The rollback assessment is running again."
        )
    database.project = release.project
    return database


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
    """Ask for one revision to be taken back in production; `typed` is the database's name."""
    now = now or timezone.now()
    require_reason(reason)
    release, row = in_production(release, now)
    known = _next_downgrade(row)
    require_seen(actor, content, "downgrade")
    _require_same(content or downgrade_content(known), downgrade_content(known))
    if typed.strip() != known["database"]:
        name = f"the name of the database, {known['database']}"
        raise Refused(f"Type {name}, to confirm the downgrade. Nothing was done.")
    database = _database(release, known)
    _require_staging(database)
    environment, values = _production(release), {key: known[key] for key in KEPT}
    with refuse_second("A downgrade already needs an approval."):
        downgrade = Downgrade.objects.create(
            release=release,
            environment=environment,
            content=downgrade_content(known),
            rehearsal=_rehearsed(environment, database, known, now),
            reason=reason.strip()[:2000],
            requested_by=actor,
            requested_at=now,
            **values,
        )
    message = f"Take {known['file']['id']} back in {known['database']}: “{downgrade.reason[:500]}”"
    data = values | {"content": downgrade.content, "rehearsal": downgrade.rehearsal_id}
    audit.record(
        "downgrade.requested", actor=actor, subject=release, sentence=message, data=data, now=now
    )
    return downgrade


def _require_same(seen: str, content: str) -> None:
    """Refuse where the person's page showed another downgrade than `content` is the digest of."""
    if seen != content:
        raise Refused("The downgrade has changed since you opened this page. Reload it.")


def _next_downgrade(row: RollbackAssessment) -> JsonObject:
    """Return the assessment's next step back; refuse where there is none."""
    if row.downgrade is None:
        raise Refused(
            row.downgrade_problem or "Production's database has no revision of this release."
        )
    return dict(row.downgrade)


def _require_staging(database: Database) -> None:
    """Refuse where staging has not been downgraded successfully before."""
    if message := unknown_staging(database):
        raise Refused(
            f"Production is downgraded only after a successful downgrade of staging. {message}"
        )


def _rehearsed(
    environment: Environment, database: Database, known: JsonObject, now: datetime
) -> Rehearsal:
    """Return the fresh rehearsal that exactly this downgrade passed; refuse without one."""
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
        this = f"Exactly this downgrade of {known['file']['id']}"
        raise Refused(f"{this} has not passed a rehearsal within a day.")
    return passed


@action("downgrade.approved", "releases.approve_release", guarded=True)
def approve_downgrade(
    release: Release, *, actor: Actor, content: str, now: datetime | None = None
) -> MigrationRun:
    """Sign a downgrade that somebody else asked for, which starts exactly that, as rehearsed."""
    now = now or timezone.now()
    release, row = in_production(release, now)
    downgrade = _waiting(release)
    refusal = "You requested this downgrade, so a second person must approve it."
    actor = require_second(actor, APPROVE, downgrade.requested_by_id, refusal)
    _require_same(content, downgrade.content)
    if row.downgrade is None or downgrade_content(row.downgrade) != downgrade.content:
        raise Refused(CHANGED_SINCE)
    database = downgrade.rehearsal.database
    _require_staging(database)
    _rehearsed(downgrade.environment, database, row.downgrade, now)
    run = queue_downgrade(
        downgrade.environment,
        database,
        commit=downgrade.commit,
        target=downgrade.target,
        file=downgrade.file,
        release=downgrade.release.name,
        requested_by=downgrade.requested_by,
        approved_by=actor,
        now=now,
    )
    Downgrade.objects.filter(pk=downgrade.pk).update(approved_by=actor, approved_at=now, run=run)
    rollback_assessment.hurry(release, now=now)
    what = f"downgrade of {downgrade.file['id']} in {downgrade.database}"
    message = f"Approved {what}; run {run.pk} does it."
    data = {
        "content": downgrade.content,
        "run": run.pk,
        "losses": downgrade.losses,
        "requested_by": downgrade.requested_by_id,
    }
    audit.record(
        "downgrade.approved", actor=actor, subject=release, sentence=message, data=data, now=now
    )
    return run


def _waiting(release: Release) -> Downgrade:
    downgrade = (
        Downgrade.objects.select_for_update(of=("self",))
        .select_related("environment__project", "requested_by", "rehearsal__database__project")
        .filter(release=release, approved_at=None, withdrawn_at=None)
        .first()
    )
    if downgrade is None:
        raise Refused("No downgrade of this release needs an approval.")
    return downgrade


@action("downgrade.withdrawn", "releases.roll_back_release")
def withdraw_downgrade(release: Release, *, actor: Actor, now: datetime | None = None) -> None:
    """Withdraw a request for a downgrade that nobody has approved yet."""
    now = now or timezone.now()
    downgrade = _waiting(release)
    Downgrade.objects.filter(pk=downgrade.pk).update(withdrawn_at=now)
    message = f"{downgrade.file['id']} is not taken back."
    audit.record("downgrade.withdrawn", actor=actor, subject=release, sentence=message, now=now)
