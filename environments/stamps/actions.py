"""Asking for a proof, proposing a stamp, approving it, taking it back."""

from datetime import datetime

from django.utils import timezone

from environments.databases.permission import APPROVE
from environments.models import Branch, DatabaseStatus, Stamp, place_of
from environments.schema.history.status import STRANGE
from portal import audit
from portal.audit import Actor
from portal.configuration.signing import require as require_signer
from portal.jobs import wake_now
from portal.ui.actions import Refused, action, refuse_second, require_reason


@action("stamp.requested", "environments.migrate_environment")
def request_stamp(
    status: DatabaseStatus, *, actor: Actor, branch: str = "", now: datetime | None = None
) -> Stamp:
    """Have it proven which revision of `branch` ("": the environment's own) a schema is.

    Only for a database whose revision is not known there.
    """
    now = now or timezone.now()
    environment, database = status.environment, status.database
    if actor is None:
        raise Refused("A stamp is asked for by a person.")
    branch = branch or status.branch
    head = Branch.objects.filter(project=environment.project, name=branch).exclude(head="").first()
    if head is None:
        raise Refused(f"There is no branch {branch} whose revisions could be compared.")
    if not is_stampable(status, branch):
        raise Refused(
            f"{database.of(environment)} is at a revision that its branch has: migrate it instead."
        )
    with refuse_second("A stamp of this database is under way already; see its page."):
        stamp = Stamp.objects.create(
            environment=environment,
            database=database,
            commit=head.head,
            branch=branch,
            requested_by=actor,
            created_at=now,
            wake_at=now,
        )
    wake_now(stamp, now=now)
    message = f"Prove which revision of {branch} {database.of(environment)} is at."
    audit.record(
        "stamp.requested",
        actor=actor,
        subject=stamp,
        sentence=message,
        data={"commit": stamp.commit},
        now=now,
    )
    return stamp


def is_stampable(status: DatabaseStatus, branch: str) -> bool:
    """Return whether the files of `branch` may not say where the database is: the job looks itself.

    One query.
    """
    if place_of(status.environment, status.database).revisions is None:
        return False
    return branch != status.branch or status.state in STRANGE


@action("stamp.proposed", "environments.migrate_environment")
def propose_stamp(
    stamp: Stamp, *, actor: Actor, target: str, reason: str, now: datetime | None = None
) -> None:
    """Record what a person proposes to write: one of what was proven."""
    now = now or timezone.now()
    require_reason(reason)
    row = _waiting(stamp)
    if actor is None:
        raise Refused("A stamp is proposed by a person.")
    chosen = next((heads for heads in row.equal if ", ".join(heads) == target), None)
    if chosen is None:
        raise Refused("That is not among the revisions whose schema is equal; look again.")
    Stamp.objects.filter(pk=row.pk).update(
        target=chosen, proposed_by=actor, reason=reason.strip()[:2000]
    )
    message = f"Stamp {row.database.of(row.environment)} at {target}: “{reason.strip()[:500]}”"
    audit.record(
        "stamp.proposed",
        actor=actor,
        subject=row,
        sentence=message,
        data={"target": chosen, "schema": row.schema, "before": row.before},
        now=now,
    )


@action("stamp.approved", APPROVE, guarded=True)
def approve_stamp(stamp: Stamp, *, actor: Actor, target: str, now: datetime | None = None) -> None:
    """Record the second person's word, for exactly what their page showed; then it is written."""
    now = now or timezone.now()
    row = _waiting(stamp)
    if not row.target or row.proposed_by_id is None:
        raise Refused("Nobody has proposed a revision to stamp yet.")
    if actor is None or actor.pk == row.proposed_by_id:
        raise Refused("Whoever proposed a stamp cannot approve it; a second person must.")
    require_signer(actor, APPROVE)
    if target != ", ".join(row.target):
        raise Refused("This is not the stamp that was on your page: look at it again.")
    Stamp.objects.filter(pk=row.pk).update(approved_by=actor)
    wake_now(row, now=now)
    message = f"Approved: {row.database.of(row.environment)} is stamped at {target}."
    audit.record(
        "stamp.approved",
        actor=actor,
        subject=row,
        sentence=message,
        data={"target": row.target, "schema": row.schema, "before": row.before},
        now=now,
    )


@action("stamp.taken_back", "environments.migrate_environment")
def take_stamp_back(stamp: Stamp, *, actor: Actor, now: datetime | None = None) -> None:
    """Give up a stamp that was not written."""
    now = now or timezone.now()
    rows = Stamp.objects.filter(
        pk=stamp.pk, cancel_requested_at=None, approved_by=None, finished_at=None
    )
    if not rows.update(cancel_requested_at=now):
        raise Refused("This stamp has ended, or is being written.")
    wake_now(stamp, now=now)
    audit.record(
        "stamp.taken_back", actor=actor, subject=stamp, sentence=f"Take back the {stamp}.", now=now
    )


def _waiting(stamp: Stamp) -> Stamp:
    row = (
        Stamp.objects.select_for_update(of=("self",))
        .select_related("environment__project", "database")
        .get(pk=stamp.pk)
    )
    if not row.is_open or row.cancel_requested_at or row.approved_by_id:
        raise Refused("This stamp has ended, or is being written.")
    if not row.equal:
        raise Refused("It is being proven which revision the schema is; look again in a moment.")
    return row
