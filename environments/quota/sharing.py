"""Who may ask GitHub and Railway now: a release or a repair always, as long as anything is left;
readings in the background only while enough is left for those.

GitHub says beside each answer what is left; that is noted by whoever asked, and read here.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from environments.quota import allowance
from portal import observed
from portal.jobs import Outcome, Requeue
from portal.models.health import Observation

RELEASING = "quota.releasing_until"
BLOCKED = "github.blocked_until"
RELEASING_FOR = timedelta(minutes=5)  # after the last look of a release or a repair


@contextmanager
def ahead(now: datetime) -> Iterator[Requeue | None]:
    """Yield None where a release or a repair may go on, else how long it waits, and why.

    What it asks of Railway is counted; background readings leave more for it from now on.
    """
    observed.note(RELEASING, (now + RELEASING_FOR).timestamp())
    with allowance.counted(now, kept=None) as railway:
        github = _of_github(_seen(), now, 0.0)
        who, seconds = ("GitHub", github) if github > railway else ("Railway", railway)
        message = f"{who}'s requests are used up: it goes on in {_minutes(seconds)} min."
        yield Requeue(seconds, message) if seconds else None


def behind(now: datetime) -> Requeue | None:
    """Return how long a reading of GitHub in the background waits, and why; None: it may go on."""
    seen = _seen()
    share = kept(now, seen)
    seconds = _of_github(seen, now, share)
    if not seconds:
        return None
    if share > allowance.KEPT_FOR_PEOPLE and not _of_github(seen, now, allowance.KEPT_FOR_PEOPLE):
        message = "A release is under way, and what is left of GitHub's requests is kept for it."
        return Requeue(min(seconds, RELEASING_FOR.total_seconds()), message)
    message = "GitHub's requests for this hour are nearly used up: reading goes on in"
    return Requeue(seconds, f"{message} {_minutes(seconds)} min.")


def in_background[**P](step: Callable[P, Outcome]) -> Callable[P, Outcome]:
    """Decorate a job's step that reads GitHub: it waits while little is left (`behind`)."""

    @functools.wraps(step)
    def patient(*args: P.args, **kwargs: P.kwargs) -> Outcome:
        now = kwargs["now"]
        if isinstance(now, datetime) and (pause := behind(now)):
            return pause
        return step(*args, **kwargs)

    return patient


def kept(now: datetime, seen: dict[str, object] | None = None) -> float:
    """Return the share of a limit that readings in the background leave to people and releases."""
    until = (_seen() if seen is None else seen).get(RELEASING)
    if isinstance(until, float | int) and until > now.timestamp():
        return allowance.KEPT_FOR_RELEASES
    return allowance.KEPT_FOR_PEOPLE


def _seen() -> dict[str, object]:
    names = ["github.quota.core", "github.quota.graphql", BLOCKED, RELEASING]
    return dict(Observation.objects.filter(name__in=names).values_list("name", "value"))


def _of_github(seen: dict[str, object], now: datetime, share: float) -> float:
    """Seconds until GitHub may be asked by who leaves `share` of each limit to others."""
    moment, waits = now.timestamp(), [0.0]
    if isinstance(until := seen.get(BLOCKED), float | int):
        waits.append(until - moment)
    for kind in ("core", "graphql"):
        quota = seen.get(f"github.quota.{kind}")
        if not isinstance(quota, dict):
            continue
        left, limit, reset = (quota.get(name) for name in ("remaining", "limit", "reset"))
        if left is None or limit is None or reset is None:
            continue
        if left <= limit * share:
            waits.append(reset - moment)
    return max(waits)


def _minutes(seconds: float) -> int:
    return max(1, round(seconds / 60))
