"""How much time passes between two readings of a project when several share a credential: the
hour's requests last for all, and each is read equally often.

Projects that a release or a person needs (`RailwaySync.watched_until`) come first, and leave the
others at least a fifth. A project with a credential of its own, or alone with one, shares nothing.
"""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Q

from environments.models import Project, RailwaySync
from portal.models.credentials import ServiceCredential

LEFT_TO_OTHERS = 0.2
GOLDEN = 0.6180339887498949  # its multiples lie evenly between 0 and 1
CALLS = 2.0  # estimated cost of one reading; the remaining limit corrects it


@dataclass(frozen=True)
class Sharers:
    """How many projects use one credential."""

    watched: int = 0
    others: int = 0

    @property
    def alone(self) -> bool:
        """Whether nobody else uses it, so that nothing must be shared."""
        return self.watched + self.others <= 1


@dataclass(frozen=True)
class Budget:
    """`left`: requests that readings may still use within `seconds`; `hourly`: within an hour."""

    left: float
    seconds: float
    hourly: float


def sharers(project: Project, service: str, *, now: datetime) -> Sharers:
    """Return who reads `service` with the same credential as the project; one query."""
    own = ServiceCredential.objects.filter(service=service).exclude(scope="").exclude(secret="")
    counts = RailwaySync.objects.exclude(project__slug__in=own.values("scope")).aggregate(
        all=Count("pk"),
        watched=Count("pk", filter=Q(watched_until__gt=now)),
        this=Count("pk", filter=Q(project=project)),
    )
    if not counts["this"]:
        return Sharers()
    return Sharers(counts["watched"], counts["all"] - counts["watched"])


def pause(of: Sharers, budget: Budget, *, watched: bool, base: float) -> float:
    """Return the seconds between two readings of one project, at least `base`."""
    if of.alone:
        return base
    rate = max(budget.left, 0.0) / max(budget.seconds, 1.0)
    # Shortly before the limit resets, few remaining requests are no problem.
    at_most = budget.seconds + _pause(of, budget.hourly / 3600, watched=watched, base=base)
    return max(base, min(_pause(of, rate, watched=watched, base=base), at_most))


def spread(number: int, of: Sharers, hourly: float) -> float:
    """Return how long after the limit was set back the project with this key goes on, so that not
    all do at once: somewhere within one pause, at another place for each.
    """
    if of.alone or hourly <= 0:
        return 0.0
    return (number * GOLDEN) % 1.0 * min(3600.0, (of.watched + of.others) * CALLS * 3600 / hourly)


def _pause(of: Sharers, rate: float, *, watched: bool, base: float) -> float:
    """Return the same for `rate` requests a second."""
    if rate <= 0:
        return float("inf")
    if watched:
        return of.watched * CALLS / (rate * (1 - LEFT_TO_OTHERS))
    rest = max(rate * LEFT_TO_OTHERS, rate - of.watched * CALLS / base)
    return of.others * CALLS / rest
