"""The rehearsals of a release's migrations as the gates see them."""

from collections.abc import Iterable

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import F, OuterRef, QuerySet
from django.db.models.functions import JSONObject
from django.utils.dateparse import parse_datetime

from environments.models import LONG_LIVED, Direction, Environment, Rehearsal
from portal.outbound.parsing import JsonObject

FIELDS = (
    "pk",
    "database_id",
    "status",
    "sentence",
    "phase",
    "start",
    "files",
    "warnings",
    "finished_at",
)


def rows(project: str, candidate: str) -> ArraySubquery:
    """Return the newest rehearsal of each database in each environment; `project`, `candidate`:
    their fields in the query.
    """
    rehearsals: QuerySet[Rehearsal] = Rehearsal.objects.filter(
        environment__kind__in=LONG_LIVED,
        environment__project=OuterRef(project),
        environment__gone_at=None,
        commit=OuterRef(candidate),
        direction=Direction.UPGRADE,
    )
    place = ("environment_id", "database_id")
    newest = rehearsals.order_by(*place, "-pk").distinct(*place)
    row = JSONObject(kind=F("environment__kind"), **{name: name for name in FIELDS})
    return ArraySubquery(newest.values(row=row))


def rehearsals_of(stored: Iterable[JsonObject]) -> tuple[Rehearsal, ...]:
    """Return what `rows` brought along, as rows with no more than that."""
    return tuple(map(_rehearsal, stored))


def _rehearsal(row: JsonObject) -> Rehearsal:
    values = {name: row[name] for name in FIELDS}
    values["finished_at"] = row["finished_at"] and parse_datetime(row["finished_at"])
    return Rehearsal(environment=Environment(kind=row["kind"]), **values)
