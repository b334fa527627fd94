"""Reads Railway's variables and stores names and keyed fingerprints, never a value."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Exists, F, Q

from environments.findings import out_of_band
from environments.models import (
    LONG_LIVED,
    Environment,
    Project,
    RailwaySync,
    RuleKind,
    Service,
    ServiceInstance,
    Variable,
    VariableChange,
    VariableRule,
    VariableSync,
)
from environments.railway import Railway
from environments.railway.batch import Place as RailwayPlace
from environments.variables.fingerprints import REFERENCE, fingerprint, host_of
from portal.outbound.credentials import Secret
from portal.outbound.http import ApiError
from portal.outbound.parsing import JsonObject

MAX_PLACES = 600  # of one reading, ten requests; what is left is read by the next
SELDOM = 6  # other environments are read this many times less often than staging and production
BEFORE_TIME = timedelta(seconds=1)  # what is due within this is due

# What the team's runbook asks for; rows from then on, for people to change.
DEFAULTS = (
    {"kind": RuleKind.SEPARATE, "name": "*DATABASE_URL"},
    {"kind": RuleKind.SEPARATE, "name": "*API_URL"},
    {"kind": RuleKind.SEPARATE, "name": "*SECRET*"},
    {"kind": RuleKind.SEPARATE, "name": "*PASSWORD*"},
    {"kind": RuleKind.ADDRESS, "service": "frontend", "name": "API_URL", "target": "backend"},
    {"kind": RuleKind.PRESENT, "service": "frontend", "name": "API_URL"},
    {"kind": RuleKind.PRESENT, "service": "backend", "name": "DATABASE_URL"},
)


def start(project: Project) -> None:
    """Have the project's variables read from now on; the first time with the runbook's rules."""
    with transaction.atomic():
        _, created = VariableSync.objects.get_or_create(project=project)
        if created and not VariableRule.objects.filter(project=project).exists():
            VariableRule.objects.bulk_create(
                [VariableRule(project=project, **values) for values in DEFAULTS]
            )


@dataclass(frozen=True)
class Place:
    """A service in an environment, or (`service` None) what the environment's services share."""

    environment: Environment
    service: Service | None

    def __str__(self) -> str:
        whose = self.service.name if self.service else "all services"
        return f"{whose} in {self.environment.name}"

    @property
    def key(self) -> RailwayPlace:
        """The place by Railway's ids."""
        return self.environment.railway_id, self.service.railway_id if self.service else None


def read(project: Project, railway: Railway, *, now: datetime) -> bool:
    """Read the variables that are due, staging and production first; False: some are left for
    later.

    What the token may not read is noted on its environment and keeps its rows. Raise `ApiError`
    when there is no answer; what was read before is kept.
    """
    environments, complete = _due(project, now)
    places = {environment.pk: [Place(environment, None)] for environment in environments}
    instances = ServiceInstance.objects.filter(environment__in=environments, service__gone_at=None)
    for instance in instances.select_related("service"):
        own_places = places[instance.environment_id]
        own_places.append(Place(own_places[0].environment, instance.service))
    places_to_read = [place.key for places_there in places.values() for place in places_there]
    id = project.railway_project_id
    answers = railway.variables_of(id, places_to_read, unrendered=True) if places_to_read else {}
    for environment in environments:
        _keep(project, environment, places[environment.pk], answers, now)
    return complete


def _due(project: Project, now: datetime) -> tuple[list[Environment], bool]:
    """Return environments whose settings changed since they were read, or that were not read for
    long; and whether all fit.
    """
    present = Environment.objects.present().filter(project=project)
    environments = present.annotate(services=Count("instances"))
    oldest = environments.order_by(F("variables_at").asc(nulls_first=True))
    ordered = sorted(oldest, key=lambda environment: environment.kind not in LONG_LIVED)
    due: list[Environment] = []
    places = 0
    for row in ordered:
        pace = 1 if row.kind in LONG_LIVED else SELDOM
        rest = timedelta(seconds=settings.VARIABLES_SECONDS * pace)
        fresh = row.variables_at is not None and now - row.variables_at < rest - BEFORE_TIME
        if fresh and row.variables_etag == row.config_etag:
            continue
        places += row.services + 1
        if places > MAX_PLACES and row.kind not in LONG_LIVED:
            return due, False
        due.append(row)
    return due, bool(ordered)


def hurry(project: Project, *, now: datetime) -> None:
    """Have the variables read soon where settings of an environment changed since they were read,
    a moment ago excepted. One query.
    """
    present = Environment.objects.present().filter(project=project)
    rows = present.exclude(variables_etag=F("config_etag"))
    moment = timedelta(seconds=2 * settings.SYNC_SECONDS)
    due = rows.filter(Q(variables_at=None) | Q(variables_at__lt=now - moment))
    job = VariableSync.objects.filter(project=project, wake_at__gt=now)
    job.filter(Exists(due)).update(wake_at=now)


def _keep(
    project: Project,
    environment: Environment,
    places: Sequence[Place],
    answers: Mapping[RailwayPlace, dict[str, Secret | None] | ApiError],
    now: datetime,
) -> None:
    """Write down what was read of one environment, and why some of it could not be."""
    rows: list[Variable] = []
    read_places: list[Place] = []
    problem = ""
    for place in places:
        values = answers[place.key]
        if isinstance(values, ApiError):
            problem = problem or f"The variables of {place} cannot be read: {values}"
            continue
        # Of two names that are alike in all that is kept of them, one is kept.
        own = {name: value for name, value in values.items() if not name.startswith("RAILWAY_")}
        kept = {name[:200]: value for name, value in own.items()}
        rows += [_row(place, name, value) for name, value in kept.items()]
        read_places.append(place)
    with transaction.atomic():
        # Whoever writes rows of a project's environments takes this lock first, and the chain of
        # the audit trail last: in one order nobody waits for another in a circle.
        RailwaySync.objects.select_for_update().filter(project=project).first()
        known, edits = _edited(environment, read_places, rows)
        _replace_rows(environment, read_places, rows)
        _mark_read(environment, known, problem, now)
        for place, edit in edits:
            _note(project, place, edit, now)


def _replace_rows(
    environment: Environment, places: Sequence[Place], rows: Sequence[Variable]
) -> None:
    """Make the rows of these places exactly `rows`."""
    for place in places:
        names = [row.name for row in rows if row.service == place.service]
        there = Variable.objects.filter(environment=environment, service=place.service)
        there.exclude(name__in=names).delete()
    Variable.objects.bulk_create(
        sorted(rows, key=lambda row: (row.service_id or 0, row.name)),
        update_conflicts=True,
        unique_fields=["environment", "service", "name"],
        update_fields=["sealed", "references", "fingerprint", "host_fingerprint", "host_reference"],
    )


def _mark_read(environment: Environment, known: JsonObject, problem: str, now: datetime) -> None:
    # Under another key nothing could be compared, so what changed until now is not known.
    same = environment.variables_known.get("key") == known["key"]
    since = environment.variables_since if same else None
    Environment.objects.filter(pk=environment.pk).update(
        variables_at=now,
        variables_problem=problem,
        variables_known=known,
        variables_since=since or (None if problem else now),
        variables_etag=environment.config_etag,
    )


# Names of variables at one place that differ from the reading before, by what became of them.
type _Edits = dict[str, list[str]]


def _edited(
    environment: Environment, places: Sequence[Place], rows: Sequence[Variable]
) -> tuple[JsonObject, list[tuple[Place, _Edits]]]:
    """Return what the next reading may rely on, and what differs from the one before in staging or
    production.

    A place that was not read before, or under another key, has nothing to be compared with.
    """
    key, known = fingerprint("the key that fingerprints are made with"), environment.variables_known
    comparable = set(known.get("read", ())) if known.get("key") == key else set()
    numbers = {(place.service.pk if place.service else 0): place for place in places}
    edits = []
    if environment.kind in LONG_LIVED and comparable:
        kept = _marks(Variable.objects.filter(environment=environment))
        fresh = _marks(rows)
        for number, place in numbers.items():
            if number in comparable:
                edits.append((place, _compare(kept.get(number, {}), fresh.get(number, {}))))
    return {"key": key, "read": sorted(comparable | numbers.keys())}, edits


def _marks(rows: Iterable[Variable]) -> dict[int, dict[str, tuple[bool, str]]]:
    """Return what tells the value of a variable from another, by the service's key and name."""
    marks: dict[int, dict[str, tuple[bool, str]]] = {}
    for row in rows:
        marks.setdefault(row.service_id or 0, {})[row.name] = row.sealed, row.fingerprint
    return marks


def _compare(was: dict[str, tuple[bool, str]], fresh: dict[str, tuple[bool, str]]) -> _Edits:
    changed = [name for name in was.keys() & fresh.keys() if was[name] != fresh[name]]
    added, removed = fresh.keys() - was.keys(), was.keys() - fresh.keys()
    return {"changed": changed, "added": list(added), "removed": list(removed)}


def _note(project: Project, place: Place, edits: _Edits, now: datetime) -> None:
    at = {"environment": place.environment, "service": place.service, "at": now}
    VariableChange.objects.bulk_create(
        VariableChange(name=name, what=what, **at)
        for what, names in edits.items()
        for name in names
    )
    out_of_band.variables_edited(project, str(place), edits, now)


def _row(place: Place, name: str, secret: Secret | None) -> Variable:
    row = Variable(
        environment=place.environment, service=place.service, name=name[:200], sealed=secret is None
    )
    if secret is not None:
        value = secret.reveal()
        host, reference = host_of(value)
        row.references = [reference[:420] for reference in REFERENCE.findall(value)[:20]]
        row.fingerprint, row.host_fingerprint = fingerprint(value), fingerprint(host)
        row.host_reference = reference[:420]
    return row
