"""How many requests to Railway are left in this hour, for all jobs together.

Background readings ask here first and wait when little is left, so that promotions and people find
some. Railway's own word counts where it gives one; else our count against
RAILWAY_REQUESTS_PER_HOUR.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db.models import F

from environments.clients import railway_of
from environments.models import Project, RailwayRateLimit
from environments.quota import fairness
from environments.railway import request_counts
from portal.models.credentials import ServiceCredential
from portal.outbound.http import ApiError

HOUR = timedelta(hours=1)
KEPT_FOR_PEOPLE = 0.15  # of the limit: background readings leave it to promotions and people
KEPT_FOR_RELEASES = 0.5  # of the limit, while a release is under way
MOST_BEHIND_A_RELEASE = 300.0  # seconds; then it is looked whether it still is


@contextmanager
def counted(
    project: Project, now: datetime, *, kept: float | None = KEPT_FOR_PEOPLE
) -> Iterator[float]:
    """Yield the seconds that one must wait (0: it may go on); count what is asked of Railway.

    `kept`: the share of the limit that is left to others. None: nothing is, and only Railway's own
    word that nothing is left counts.
    """
    try:
        token = railway_of(project).transport.token
    except ApiError:
        yield 0.0
        return
    row, _ = RailwayRateLimit.objects.get_or_create(
        token=request_counts.key_of(token), defaults={"hour": now}
    )
    if _collect(row, token, now):
        row.refresh_from_db()
    try:
        yield _wait(row, now, kept)
    finally:
        _collect(row, token, now)


def pause(project: Project, now: datetime, *, watched: bool, base: float) -> float:
    """Return the seconds between two readings of the project, so that all who share its token have
    some; at least `base`.
    """
    of = fairness.sharers(project, ServiceCredential.Service.RAILWAY, now=now)
    if of.alone:
        return base
    try:
        token = request_counts.key_of(railway_of(project).transport.token)
    except ApiError:
        return base
    row = RailwayRateLimit.objects.filter(token=token).first()
    limit = (row and row.limit) or settings.RAILWAY_REQUESTS_PER_HOUR
    left, until = limit, now + HOUR
    if row and now - row.hour < HOUR:
        left, until = limit - row.used, row.hour + HOUR
    if row and row.remaining is not None and row.resets_at and row.resets_at > now:
        left, until = row.remaining, row.resets_at
    kept = limit * KEPT_FOR_PEOPLE
    budget = fairness.Budget(left - kept, (until - now).total_seconds(), limit - kept)
    return fairness.pause(of, budget, watched=watched, base=base)


def sentence(seconds: float) -> str:
    """Return what a job says while it waits."""
    return (
        "Railway's requests for this hour are nearly used up: reading goes on in"
        f" {max(1, round(seconds / 60))} min."
    )


def _collect(row: RailwayRateLimit, token: str, now: datetime) -> bool:
    """Carry what this process counted into the stored row; return whether there was anything."""
    account = request_counts.collect(token)
    changes: dict[str, object] = {}
    if now - row.hour >= HOUR:
        changes = {"hour": now, "used": account.asked, "remaining": None}
    elif account.asked:
        changes = {"used": F("used") + account.asked}
    if account.asked and account.remaining is not None:
        resets = datetime.fromtimestamp(account.resets_at, UTC) if account.resets_at else None
        changes |= {"limit": account.limit, "remaining": account.remaining, "resets_at": resets}
    if account.blocked_until > now.timestamp():
        changes["blocked_until"] = datetime.fromtimestamp(account.blocked_until, UTC)
    return bool(changes) and bool(RailwayRateLimit.objects.filter(pk=row.pk).update(**changes))


def _wait(row: RailwayRateLimit, now: datetime, kept: float | None) -> float:
    """Return seconds until one may go on who leaves the share `kept` of the limit to others."""
    if row.blocked_until and row.blocked_until > now:
        return (row.blocked_until - now).total_seconds()
    limit = row.limit or settings.RAILWAY_REQUESTS_PER_HOUR
    left, until = limit - row.used, row.hour + HOUR
    if row.remaining is not None and row.resets_at and row.resets_at > now:
        left, until = row.remaining, row.resets_at
        kept = kept or 1 / limit  # none left
    if kept is None:
        return 0.0
    if left >= limit * kept:
        return 0.0
    seconds = max(1.0, (until - now).total_seconds())
    short = kept == KEPT_FOR_RELEASES and left >= limit * KEPT_FOR_PEOPLE
    return min(seconds, MOST_BEHIND_A_RELEASE) if short else seconds
