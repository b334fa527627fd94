"""The check before every outward write: a project that only watches sends nothing."""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from environments.models import Project
from environments.models.watch_only import WithheldWrite
from portal import audit
from portal.outbound.http import WatchOnly
from portal.redaction import HIDDEN, known_secrets, redact

SECRET_KEYS = frozenset({"secret", "value"})  # of a webhook, of a variable


def withhold(
    project: Project,
    service: str,
    doing: str,
    content: Mapping[str, object],
    *,
    now: datetime | None = None,
) -> None:
    """Return where the project may write; else record what would be sent and raise `WatchOnly`.

    `doing` completes "the portal would now …". It reads the switch again each time: one query.
    """
    if project.pk is None:  # it is only being proposed
        raise WatchOnly(service, f"{project} is not connected yet, so nothing is sent.")
    if not Project.objects.filter(pk=project.pk, watch_only=True).exists():
        return
    _record(project, service, doing[:300], _without_secrets(content), now or timezone.now())
    raise WatchOnly(service, f"Watch only: the portal would now {doing}; nothing was sent.")


def _record(project: Project, service: str, doing: str, content: object, now: datetime) -> None:
    """Keep one row for each content, and one event at its first time."""
    whole = json.dumps([service, doing, content], sort_keys=True)
    digest = hashlib.sha256(whole.encode()).hexdigest()
    known = WithheldWrite.objects.filter(project=project, digest=digest)
    if known.update(count=F("count") + 1, last_at=now):
        return
    try:
        with transaction.atomic():
            WithheldWrite.objects.create(
                project=project,
                service=service,
                doing=doing,
                content=content,
                digest=digest,
                first_at=now,
                last_at=now,
            )
            sentence = f"Watch only: would {doing}; not sent."
            data = {"service": service, "content": content}
            audit.record_by_portal("outward.withheld", project, sentence, data=data, now=now)
    except IntegrityError:
        known.update(count=F("count") + 1, last_at=now)


def _without_secrets(content: object) -> object:
    """Return `content` with the values of variables and secrets hidden."""
    text = redact(json.dumps(_hidden(content), default=str), known_secrets())
    return json.loads(text)


def _hidden(content: object, *, all_values: bool = False) -> object:
    if isinstance(content, Mapping):
        return {
            str(key): HIDDEN
            if (all_values and not isinstance(value, Mapping)) or key in SECRET_KEYS
            else _hidden(value, all_values=key == "variables")
            for key, value in content.items()
        }
    if isinstance(content, list | tuple):
        return [_hidden(value) for value in content]
    return content
