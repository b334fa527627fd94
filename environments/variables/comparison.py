"""Variables of two environments side by side, and which a rollback would bring back."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q

from environments.models import Environment, Service, Variable, VariableChange


@dataclass(frozen=True)
class GoingBack:
    """What is known of a service's variables since a moment, and what cannot be known."""

    changed: tuple[tuple[str, str], ...] = ()  # name, and added, changed or removed
    unknown: tuple[str, ...] = ()


def going_back(
    environment: Environment, service: Service | None, since: datetime | None
) -> GoingBack:
    """Return the variables, also shared ones, that a deployment made at `since` would change."""
    if since is None:
        made = "When that deployment was made is not known, so neither is what changed since."
        return GoingBack((), (made,))
    unknown, watched = [], environment.variables_since
    if watched is None or watched > since:
        watched_for = "never" if watched is None else f"only since {watched:%Y-%m-%d %H:%M} UTC"
        unknown.append(f"Variables were watched {watched_for}: what changed before is not known.")
    own = Q(service=service) | Q(service=None)
    changes = VariableChange.objects.filter(own, environment=environment, at__gt=since)
    newest = {change.name: change.what for change in changes.order_by("at")}
    rows = list(Variable.objects.filter(own, environment=environment))
    sealed = sorted({row.name for row in rows if row.sealed})
    led = sorted({row.name for row in rows if row.references})
    if sealed:
        unknown.append(f"Sealed, so that a change cannot be seen: {', '.join(sealed)}.")
    if led:
        unknown.append(f"References, whose target may have changed: {', '.join(led)}.")
    return GoingBack(tuple(sorted(newest.items())), tuple(unknown))


@dataclass(frozen=True)
class VariableDiff:
    """One variable in two environments.

    `state`: same, reference (one text, which means another thing in each), different, missing or
    sealed.
    """

    service: str
    name: str
    first: Variable | None
    second: Variable | None
    state: str


def difference(first: Environment, second: Environment) -> list[VariableDiff]:
    """Return every variable of both environments, by service and name. One query."""
    rows: dict[tuple[str, str], dict[int, Variable]] = {}
    both = Variable.objects.filter(environment__in=[first, second])
    for variable in both.select_related("service"):
        key = (variable.service.name if variable.service else "", variable.name)
        rows.setdefault(key, {})[variable.environment_id] = variable
    lines = []
    for (service, name), by_environment in sorted(rows.items()):
        a, b = by_environment.get(first.pk), by_environment.get(second.pk)
        lines.append(VariableDiff(service, name, a, b, _state(a, b)))
    return lines


def _state(a: Variable | None, b: Variable | None) -> str:
    if a is None or b is None:
        return "missing"
    if a.sealed or b.sealed:
        return "sealed"
    if a.fingerprint != b.fingerprint:
        return "different"
    return "reference" if a.references else "same"
