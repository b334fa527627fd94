"""Who may send requests now: a release or a repair while any are left, background readings only
while enough are left for those.

GitHub says beside each answer what is left; that is noted by whoever asked, and read here.
"""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Protocol

from environments.clients import github_of
from environments.github import limits
from environments.models import Project, RailwaySync
from environments.quota import allowance, fairness, pace
from portal import observed
from portal.jobs import Outcome, Requeue
from portal.models.credentials import ServiceCredential
from portal.models.health import Observation
from portal.outbound.http import ApiError

RELEASING = "quota.releasing_until"
RELEASING_FOR = timedelta(minutes=5)  # after the last look of a release or a repair


class HasProject(Protocol):
    """A job that works for one project."""

    @property
    def project(self) -> Project: ...


class Step[J](Protocol):
    """One look of a job."""

    def __call__(self, job: J, /, *, now: datetime) -> Outcome: ...


@contextmanager
def ahead(project: Project, now: datetime) -> Iterator[Requeue | None]:
    """Yield None where a release or a repair may go on, else how long it waits, and why.

    What it asks of Railway is counted; background readings leave more for it from now on.
    """
    observed.note(RELEASING, (now + RELEASING_FOR).timestamp())
    with allowance.counted(project, now, kept=None) as railway:
        github = _of_github(_seen(project), now, 0.0)
        who, seconds = ("GitHub", github) if github > railway else ("Railway", railway)
        message = f"{who}'s requests are used up: it goes on in {_minutes(seconds)} min."
        yield Requeue(seconds, message) if seconds else None


def is_blocked(project: Project, now: datetime) -> bool:
    """Return whether GitHub asked for a pause, in which not even free requests are welcome."""
    until = _seen(project).get("blocked")
    return isinstance(until, float | int) and until > now.timestamp()


def behind(project: Project, now: datetime) -> Requeue | None:
    """Return how long a reading of GitHub in the background waits, and why; None: it may go on."""
    seen = _seen(project)
    share = kept(now)
    seconds = _of_github(seen, now, share)
    if not seconds:
        return None
    of = fairness.sharers(project, ServiceCredential.Service.GITHUB, now=now)
    hourly = min((limit * (1 - share) for _, limit, _ in _quotas(seen)), default=0.0)
    seconds += fairness.spread(project.pk, of, hourly)
    if share > allowance.KEPT_FOR_PEOPLE and not _of_github(seen, now, allowance.KEPT_FOR_PEOPLE):
        message = "A release is under way, and what is left of GitHub's requests is kept for it."
        return Requeue(min(seconds, RELEASING_FOR.total_seconds()), message)
    message = "GitHub's requests for this hour are nearly used up: reading goes on in"
    return Requeue(seconds, f"{message} {_minutes(seconds)} min.")


def pause(project: Project, now: datetime, *, base: float) -> float:
    """Return the seconds between two readings of the project on GitHub, so that all who share its
    credential have some; at least `base`.
    """
    of = fairness.sharers(project, ServiceCredential.Service.GITHUB, now=now)
    if of.alone:
        return base
    sync = RailwaySync.objects.filter(project=project).first()
    watched, share = bool(sync and pace.is_watched(sync, now)), kept(now)
    pauses = [base]
    for left, limit, reset in _quotas(_seen(project)):
        if reset > now.timestamp():
            usable = limit * (1 - share)
            budget = fairness.Budget(left - limit * share, reset - now.timestamp(), usable)
            pauses.append(fairness.pause(of, budget, watched=watched, base=base))
    return max(pauses)


def in_background[J: HasProject](step: Step[J]) -> Step[J]:
    """Decorate a job's step that reads GitHub: it waits while little is left (`behind`)."""

    @functools.wraps(step)
    def patient(job: J, *, now: datetime) -> Outcome:
        return behind(job.project, now) or step(job, now=now)

    return patient


def kept(now: datetime) -> float:
    """Return the share of a limit that readings in the background leave to people and releases."""
    seen = Observation.objects.filter(name=RELEASING).values_list("value", flat=True).first()
    is_releasing = isinstance(seen, float | int) and seen > now.timestamp()
    return allowance.KEPT_FOR_RELEASES if is_releasing else allowance.KEPT_FOR_PEOPLE


def _seen(project: Project) -> dict[str, object]:
    """Return what GitHub last said to the project's credential, by the part of its name."""
    try:
        account = github_of(project).transport.account
    except ApiError:
        return {}
    rows = Observation.objects.filter(name__in=limits.names_of(account))
    return {name.split(".")[2]: value for name, value in rows.values_list("name", "value")}


def _of_github(seen: dict[str, object], now: datetime, share: float) -> float:
    """Return seconds until GitHub may be asked by who leaves `share` of each limit to others."""
    moment, waits = now.timestamp(), [0.0]
    if isinstance(until := seen.get("blocked"), float | int):
        waits.append(until - moment)
    waits += [reset - moment for left, limit, reset in _quotas(seen) if left <= limit * share]
    return max(waits)


def _quotas(seen: dict[str, object]) -> list[tuple[int, int, int]]:
    """Return what is left, of how much, and until when, of each limit that GitHub named."""
    named = [quota for kind in ("core", "graphql") if isinstance(quota := seen.get(kind), dict)]
    quotas = []
    for quota in named:
        left, limit, reset = (quota.get(name) for name in ("remaining", "limit", "reset"))
        if left is not None and limit is not None and reset is not None:
            quotas.append((left, limit, reset))
    return quotas


def _minutes(seconds: float) -> int:
    return max(1, round(seconds / 60))
