"""The audit trail: an event per thing that happened, chained by SHA-256, written with the thing.

`record` appends in the caller's transaction: without an event there is no action. `timeline` reads.
`verify` and `anchor` in `verification` prove it; docs/audit.md says what is proven and
what is not.
"""

import re
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.contrib.auth.models import AnonymousUser, User
from django.core.serializers.json import DjangoJSONEncoder
from django.db import transaction
from django.db.models import Model, QuerySet

from portal.invisible_characters import visible
from portal.jobs import Finished, JobStatus
from portal.models.audit import AuditEvent
from portal.prepared_queries import prepared
from portal.redaction import in_texts, without_secrets

type Actor = User | None  # who acts; None is the portal itself

NAME_CHARS, SENTENCE_CHARS, DATA_CHARS = 200, 1000, 16_000

# What lays text out in several lines; whatever else cannot be seen is written out
# (portal.invisible_characters).
_LAYOUT = re.compile("[\t\n\r]")

_ENCODER = DjangoJSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)
_APPEND = f"SELECT portal_audit_append({', '.join(['%s'] * 12)})"


class OutsideTransaction(RuntimeError):
    """An event would be kept although its action might not be, or the other way round."""


def record(
    action: str,
    *,
    actor: Actor | AnonymousUser,
    subject: Model | None = None,
    sentence: str = "",
    outcome: str = "done",
    scope: str = "",
    data: Mapping[str, object] | None = None,
    group: uuid.UUID | None = None,
    now: datetime | None = None,
) -> int:
    """Append one event in the current transaction, by one query, and return its position.

    `actor` None is the portal itself. `scope` (a project's slug) defaults to `scope_of(subject)`;
    where the subject says `for_release`, `data` names that release. Events of one human action
    share a `group`. Without `now` the database's clock counts. Raise
    `OutsideTransaction`, or Django's `DatabaseError` when the event cannot be written (no
    permission, or the head of the chain is taken for 3 s): let it pass, so that the action is
    undone too. Until the transaction ends no other event can be added, so record last.
    """
    connection = transaction.get_connection()
    if not connection.in_atomic_block:
        raise OutsideTransaction(
            f"Record {action} inside transaction.atomic(), together with what it records."
        )
    outcome = AuditEvent.Outcome(outcome).value
    release = getattr(subject, "for_release", "")
    values = [
        now,
        clean(action, NAME_CHARS),
        outcome,
        actor.pk if actor else None,
        clean(actor_name(actor), NAME_CHARS),
        clean(scope or scope_of(subject), NAME_CHARS),
        subject._meta.label_lower if subject else "",
        clean(str(subject.pk), NAME_CHARS) if subject else "",
        clean(str(subject), NAME_CHARS) if subject else "",
        clean(sentence, SENTENCE_CHARS),
        canonical_json(({"release": release} if release else {}) | dict(data or {})),
        group or uuid.uuid4(),
    ]
    with connection.cursor() as cursor:
        cursor.execute(_APPEND, values)
        return cursor.fetchone()[0]


def record_by_portal(
    action: str,
    subject: Model,
    sentence: str,
    *,
    outcome: str = "done",
    data: Mapping[str, object] | None = None,
    now: datetime,
) -> None:
    """Append, as `record` does, an event of what the portal itself did or found."""
    record(
        action, actor=None, subject=subject, outcome=outcome, sentence=sentence, data=data, now=now
    )


def record_own(action: str, user: User, sentence: str, **more: Any) -> None:
    """Append what `user` did with their own account, in a transaction of its own."""
    with transaction.atomic():
        record(action, actor=user, subject=user, sentence=sentence, **more)


def record_end(
    action: str, subject: Model, outcome: Finished, *, data: Mapping[str, object], now: datetime
) -> None:
    """Append the event that the job of `subject` ended with `outcome`."""
    how = "done" if outcome.status == JobStatus.SUCCEEDED else "failed"
    data = {"status": outcome.status, **data}
    record_by_portal(action, subject, outcome.sentence, outcome=how, data=data, now=now)


def scope_of(subject: object) -> str:
    """Return the slug of the project that `subject` is or belongs to, by its own word
    (`audit_scope`) or by its project, release or environment; "" for none.
    """
    for owner in ("project", "release", "environment"):
        if hasattr(subject, owner):
            return scope_of(getattr(subject, owner))
    return getattr(subject, "audit_scope", "")


@prepared
def _newest(kind: str, key: str, *, limit: int) -> QuerySet[AuditEvent]:
    return AuditEvent.objects.filter(subject_kind=kind, subject_id=key)[:limit]


def timeline(subject: Model, *, limit: int = 50) -> list[AuditEvent]:
    """Return the newest events of `subject`."""
    return _newest(subject._meta.label_lower, str(subject.pk), limit=limit)


def actor_name(actor: Actor | AnonymousUser) -> str:
    """Return how an actor is named in sentences and events: the full name, else the user name."""
    if actor is None:
        return "portal"
    if actor.is_anonymous:
        return "someone not signed in"
    return getattr(actor, "get_full_name", str)() or str(actor)


def clean(text: str, limit: int) -> str:
    """Return `text` on one line of at most `limit` characters, all visible, without credentials."""
    text = visible(_LAYOUT.sub(" ", without_secrets(text)))
    return text if len(text) <= limit else text[: limit - 1] + "…"


def canonical_json(data: Mapping[str, object]) -> str:
    """Return one spelling for one content: sorted keys, no spaces, ASCII; of over 16,000 characters
    a part. Raise TypeError or ValueError for what JSON cannot say.
    """
    text = _dump(data)
    if len(text) > DATA_CHARS:
        return _dump({"trimmed_from_characters": len(text), "beginning": text[: DATA_CHARS // 3]})
    return text


def _dump(data: Mapping[str, object]) -> str:
    return _ENCODER.encode(in_texts(data, without_secrets))
