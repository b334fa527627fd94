"""The rehearsals of a release's migrations as the gates see them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import F, OuterRef, QuerySet
from django.db.models.functions import JSONObject
from django.utils.dateparse import parse_datetime

from environments.models import LONG_LIVED, Direction, Rehearsal
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


@dataclass(frozen=True)
class Rehearsed:
    """The newest rehearsal of the candidate for a database in one environment (`kind`).

    `start` None: not read.
    """

    pk: int
    kind: str
    status: str
    database_id: int = 0
    sentence: str = ""
    phase: str = ""
    start: tuple[str, ...] | None = None
    files: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()
    finished_at: datetime | None = None


def rows(project: str, candidate: str) -> ArraySubquery:
    """Return the newest rehearsal of each database in each environment; `project`, `candidate`:
    their fields in the query.
    """
    mine: QuerySet[Rehearsal] = Rehearsal.objects.filter(
        environment__kind__in=LONG_LIVED,
        environment__project=OuterRef(project),
        environment__gone_at=None,
        commit=OuterRef(candidate),
        direction=Direction.UPGRADE,
    )
    place = ("environment_id", "database_id")
    newest = mine.order_by(*place, "-pk").distinct(*place)
    row = JSONObject(kind=F("environment__kind"), **{name: name for name in FIELDS})
    return ArraySubquery(newest.values(row=row))


def rehearsed_of(found: Iterable[JsonObject]) -> tuple[Rehearsed, ...]:
    """Return what `rows` brought along."""
    return tuple(
        Rehearsed(
            **one
            | {
                "start": None if one["start"] is None else tuple(one["start"]),
                "files": tuple((file["id"], file["sha256"]) for file in one["files"]),
                "warnings": tuple(one["warnings"]),
                "finished_at": one["finished_at"] and parse_datetime(one["finished_at"]),
            }
        )
        for one in found
    )
