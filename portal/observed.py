"""Numbers in vendors' answers, such as the remaining rate limit: kept in memory, then as rows.

Clients know no row, so they call `note`; whoever runs a job calls `keep` afterwards.
"""

import threading
import time

from django.utils import timezone

from portal.models.health import Observation

KEPT_EVERY = 5.0  # seconds, in each process
ACCEPTED = "credential.accepted."
_noting = threading.Lock()
_noted: dict[str, object] = {}
_kept_at = float("-inf")


def note(name: str, value: object) -> None:
    """Remember the newest `value`, a JSON value, under `name`. Touch no database."""
    with _noting:
        _noted[name] = value


def note_accepted(account: str) -> None:
    """Remember that a service took the credential that `account` names just now."""
    note(f"{ACCEPTED}{account}", timezone.now().timestamp())


def accepted_at(account: str) -> float:
    """Return when a service last took that credential, in Unix seconds; 0.0: never seen.

    What other processes saw in the last seconds may be missing. One query.
    """
    name = f"{ACCEPTED}{account}"
    kept = Observation.objects.filter(name=name).values_list("value", flat=True).first()
    with _noting:
        seen = (_noted.get(name), kept)
    return max((moment for moment in seen if isinstance(moment, float)), default=0.0)


def keep(*, at_once: bool = False) -> None:
    """Write what was noted since the last time; every five seconds at most, unless `at_once`."""
    global _kept_at
    with _noting:
        if not _noted or (time.monotonic() - _kept_at < KEPT_EVERY and not at_once):
            return
        noted = dict(_noted)
        _noted.clear()
        _kept_at = time.monotonic()
    for name, value in noted.items():
        Observation.objects.update_or_create(
            name=name, defaults={"value": value, "at": timezone.now()}
        )
