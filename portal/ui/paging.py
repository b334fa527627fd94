"""Pages of many rows, newest first: a page begins below the last row of the one before it.

Come here for any list that may grow without end. `templates/portal/ui/_older.html` shows the
buttons.
"""

from dataclasses import dataclass
from typing import cast

from django.db.models import Model, OuterRef, QuerySet, Subquery
from django.http import HttpRequest

FIELD = "before"


@dataclass(frozen=True)
class Pager[R: Model]:
    """One page: its rows, the key below which the next begins (None: there is none), and the
    other fields of the address.
    """

    rows: list[R]
    older: int | None
    kept: str
    is_first: bool


def paged[R: Model](
    request: HttpRequest, rows: QuerySet[R], size: int, key: str = "pk"
) -> Pager[R]:
    """Return the page of `rows` that `request` asks for: at most `size`, by one query."""
    typed = request.GET.get(FIELD, "")
    before = int(typed) if typed.isdecimal() and len(typed) < 19 else None
    if before is not None:
        rows = rows.filter(**{f"{key}__lt": before})
    page = list(rows.order_by(f"-{key}")[: size + 1])
    kept = request.GET.copy()
    kept.pop(FIELD, None)
    older = getattr(page[size - 1], key) if len(page) > size else None
    return Pager(page[:size], older, kept.urlencode(), before is None)


def with_neighbours[R: Model](rows: QuerySet[R], *, within: str) -> QuerySet[R]:
    """Return `rows` with `older_pk` and `newer_pk`: the keys of the next and the previous row that
    have the same `within` (a field, as in a filter); None where there is none. No further query.
    """
    same = rows.model._base_manager.filter(**{within: OuterRef(within)})
    older = same.filter(pk__lt=OuterRef("pk")).order_by("-pk").values("pk")[:1]
    newer = same.filter(pk__gt=OuterRef("pk")).order_by("pk").values("pk")[:1]
    beside = rows.annotate(older_pk=Subquery(older), newer_pk=Subquery(newer))
    return cast("QuerySet[R]", beside)
