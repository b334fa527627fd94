"""Task logs kept in the portal: of a release or of a finding, written by people, each save in
the audit trail.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime

from django.db import IntegrityError, transaction
from django.utils import timezone

from environments.models import Finding
from portal import audit
from portal.audit import Actor
from portal.outbound.parsing import JsonObject
from portal.ui.actions import Refused, action
from releases.models.releases import Release
from releases.models.task_logs import TaskLog
from releases.task_logs.markdown import SECTIONS, markdown, title_of

Subject = Release | Finding


class Stale(Refused):
    """Somebody else saved in the meantime; nothing was changed."""


def of(subject: Subject) -> TaskLog | None:
    """Return the subject's log, if anybody has begun one. One query."""
    return TaskLog.objects.filter(**_key(subject)).select_related("saved_by").first()


def title(subject: Subject) -> str:
    """Return what the log is about, in a line."""
    return f"Release {subject.name}" if isinstance(subject, Release) else title_of(subject.sentence)


def as_file(subject: Subject, log: TaskLog | None) -> str:
    """Return the log as the Markdown file that `manage.py task_log` makes."""
    about = ""
    if log is not None:
        names = ", ".join(sorted(audit.actor_name(author) for author in log.authors.all()))
        about = (
            f"{subject.project.name}, by {names or 'nobody'}, saved"
            f" {log.saved_at:%Y-%m-%d %H:%M} UTC"
        )
    return markdown(title(subject), {name: getattr(log, name, "") for name in SECTIONS}, about)


@action("task_log.saved", "releases.write_tasklog")
def write(
    subject: Subject,
    *,
    actor: Actor,
    typed: Mapping[str, str],
    version: int,
    now: datetime | None = None,
) -> TaskLog:
    """Save the five sections; `version` is the one that the person began from, 0 where there was
    none.

    Raise `Stale` when somebody else saved since.
    """
    now = now or timezone.now()
    texts = {name: typed.get(name, "").replace("\r\n", "\n").rstrip() for name in SECTIONS}
    log = (
        TaskLog.objects.select_for_update(of=("self",))
        .filter(**_key(subject))
        .select_related("saved_by")
        .first()
    )
    if (log.version if log else 0) != version:
        raise _stale(log)
    changed = [name for name, text in texts.items() if text != (getattr(log, name) if log else "")]
    if not changed:
        raise Refused("Nothing was changed, so nothing was saved.")
    log = _save(subject, log, texts, actor, now)
    message = f"Task log: {', '.join(SECTIONS[name] for name in changed)}."
    digest = hashlib.sha256(markdown("", texts).encode()).hexdigest()
    data = {"sections": changed, "version": log.version, "sha256": digest}
    audit.record(
        "task_log.saved", actor=actor, subject=subject, sentence=message, data=data, now=now
    )
    return log


def _save(
    subject: Subject, log: TaskLog | None, texts: dict[str, str], actor: Actor, now: datetime
) -> TaskLog:
    if log is None:
        try:
            with transaction.atomic():
                log = TaskLog.objects.create(
                    **_key(subject), **texts, created_at=now, saved_at=now, saved_by=actor
                )
        except IntegrityError:
            raise _stale(of(subject)) from None
    else:
        log.version += 1
        TaskLog.objects.filter(pk=log.pk).update(
            **texts, version=log.version, saved_at=now, saved_by=actor
        )
    if actor is not None:
        log.authors.add(actor)
    return log


def _stale(log: TaskLog | None) -> Stale:
    who = audit.actor_name(log.saved_by) if log else "Somebody"
    return Stale(
        f"{who} saved this log while you were writing, so yours was not saved; it still stands in"
        " the form."
    )


def _key(subject: Subject) -> JsonObject:
    return {"release" if isinstance(subject, Release) else "finding": subject}
