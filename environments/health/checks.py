"""Checks of what is read from Railway, of the credentials, and of what is left of each quota."""

from collections.abc import Iterator
from datetime import UTC, datetime

from django.conf import settings

from environments.connections import watch
from environments.github import limits
from environments.models import ConnectionCheck, Project, RailwayRateLimit, RailwaySync
from environments.quota import allowance, pace
from portal.health.registry import Result, State, check
from portal.models.health import Observation

OK, UNKNOWN, WARNING, FAILING = State.OK, State.UNKNOWN, State.WARNING, State.FAILING
EXPIRES_SOON = 14 * 24 * 3600.0
GITHUB_LITTLE = 0.10
SYNCS_LATE = 60.0


@check("Railway readings", unit="seconds")
def railway_sync(now: datetime) -> Iterator[Result]:
    """Report when each project was last read from Railway, and what stood in the way since."""
    for job in RailwaySync.objects.select_related("project"):
        late = job.synced_at is None or job.synced_at < pace.stale_since(job, now)
        yield sync_result("Railway", job.project, job.synced_at, job.problem, late=late, now=now)


def sync_result(
    service: str,
    project: Project,
    synced_at: datetime | None,
    problem: str,
    *,
    late: bool,
    now: datetime,
) -> Result:
    """Return how a project's reading of `service` fares; `late`: later than its pace explains."""
    age = (now - synced_at).total_seconds() if synced_at else None
    ago = f"{age / 60:.0f} min ago" if age and age >= 90 else f"{age or 0:.0f} s ago"
    read = f"{project}: {service} was {'never read' if age is None else f'last read {ago}'}"
    if problem:
        state = FAILING if late or (age or 0) > SYNCS_LATE else WARNING
        message = f"{read}. {problem}"
    elif late:
        state, message = FAILING, f"{read}, which is too long. Check the worker's log."
    else:
        state, message = OK, f"{read}."
    return Result(state, message, subject=project.slug, value=age, scope=project.slug)


@check("Credentials")
def credentials(now: datetime) -> Iterator[Result]:
    """Report what the last look at every credential found, and which are refused since."""
    refused = watch.refused()
    for name, sentence in refused.items():
        yield Result(FAILING, f"{name}: {sentence}", subject=name, confirmed=True)
    for row in ConnectionCheck.objects.exclude(checked_at=None):
        for result in row.found:
            state = {"pass": OK, "fail": WARNING}.get(result["state"], UNKNOWN)
            if result["name"] not in refused:
                yield Result(
                    state, f"{result['name']}: {result['sentence']}", subject=result["name"]
                )


@check("Token expiry", unit="seconds")
def token_expiry(now: datetime) -> Iterator[Result]:
    """Report how long each of GitHub's tokens lasts, as GitHub says with each answer."""
    for whose, seen in _said_by_github(limits.ENDS):
        token, subject = f"GitHub's token{whose}", whose.removeprefix(" of ")
        if not seen.value:
            yield Result(OK, f"{token} does not expire, or renews itself.", subject=subject)
            continue
        left = float(seen.value) - now.timestamp()
        when = f"{datetime.fromtimestamp(float(seen.value), UTC):%Y-%m-%d %H:%M} UTC"
        state, message = OK, f"{token} expires at {when}."
        if left <= 0:
            state, message = FAILING, f"{token} expired at {when}: set a new one."
        elif left < EXPIRES_SOON:
            days = f"in {left / 86400:.0f} days"
            state, message = WARNING, f"{token} expires at {when}, {days}. Create the next one."
        yield Result(state, message, subject=subject, value=left)


@check("Railway quota", unit="requests")
def railway_quota(now: datetime) -> Iterator[Result]:
    """Report what is left of the requests that Railway allows in this hour."""
    for row in RailwayRateLimit.objects.all():
        limit = row.limit or settings.RAILWAY_REQUESTS_PER_HOUR
        left = limit - (row.used if now - row.hour < allowance.HOUR else 0)
        if row.remaining is not None and row.resets_at and row.resets_at > now:
            left = row.remaining
        message = f"{left} of {limit} requests to Railway are left"
        if row.blocked_until and row.blocked_until > now:
            refuses = f"Railway refuses requests until {row.blocked_until:%H:%M} UTC"
            used_up = f"{refuses}: the plan's quota is used up."
            yield Result(FAILING, used_up, value=0, confirmed=True)  # Railway said so
        elif left < limit * allowance.KEPT_FOR_PEOPLE:
            waits = f"{message}. Background readings wait for the next hour."
            yield Result(WARNING, waits, value=left)
        else:
            yield Result(OK, f"{message} in this hour.", value=left)


@check("GitHub quota", unit="requests")
def github_quota(now: datetime) -> Iterator[Result]:
    """Report what is left of each credential's requests by kind, as GitHub says."""
    for kind in ("core", "graphql"):
        for whose, seen in _said_by_github(f"{limits.LEFT}{kind}."):
            yield _left(f"{kind}{whose}", seen.value, now)


def _left(subject: str, quota: dict[str, int], now: datetime) -> Result:
    left, limit, resets = quota["remaining"], quota["limit"], quota["reset"]
    if resets <= now.timestamp():
        message = f"GitHub's quota ({subject}) resets with the next request."
        return Result(OK, message, subject=subject)
    until = f"{datetime.fromtimestamp(resets, UTC):%H:%M} UTC"
    state = FAILING if left == 0 else WARNING if left < limit * GITHUB_LITTLE else OK
    message = f"{left} of {limit} requests to GitHub ({subject}) are left until {until}."
    return Result(state, message, subject=subject, value=left, confirmed=left == 0)


def _said_by_github(start: str) -> Iterator[tuple[str, Observation]]:
    """Yield what GitHub said to each credential in use under the names that begin so; with " of …"
    where there are several, or "".
    """
    names = watch.of_github()
    for seen in Observation.objects.filter(name__startswith=start).order_by("name"):
        account = seen.name.removeprefix(start)
        if not names or account in names:
            yield f" of {names[account]}" if len(names) > 1 else "", seen
