"""What a query changes, and which functions it calls."""

from collections.abc import Iterator

from environments.schema.sql.functions import HARMLESS, is_stable
from environments.schema.sql.parser import joined, kind, named, strings, unwrap, walk
from environments.schema.sql.part import FUNCTION, OTHER, Part


def of_query(statement: object) -> Iterator[Part]:
    """Yield what a query changes, also within WITH, and the functions it calls of which nothing
    is known.
    """
    top, read = statement, False
    for here in walk(statement):
        node = kind(here)
        if node == "InsertStmt":
            conflict = (
                here.HasField("on_conflict_clause") and here.on_conflict_clause.action == _UPDATES
            )
            query = unwrap(here.select_stmt)
            more = (
                ".CONFLICT"
                if conflict
                else ".SELECT"
                if query is not None and not query.values_lists
                else ""
            )
            yield Part(f"InsertStmt{more}", named(here.relation))
        elif node in ("UpdateStmt", "DeleteStmt", "MergeStmt"):
            yield Part(node, named(here.relation))
        elif node == "FuncCall":
            yield from _called(joined(strings(here.funcname)))
        elif node == "IntoClause":
            yield Part("SelectStmt.INTO", named(here.rel))
        read = read or node == "LockingClause"
    if kind(top) == "SelectStmt":
        yield Part("SelectStmt.FOR UPDATE" if read else "SelectStmt")


_UPDATES = 3  # ONCONFLICT_UPDATE


def _called(name: str) -> Iterator[Part]:
    plain = name.removeprefix("pg_catalog.")
    if plain in ("setval", "set_config"):
        yield Part(f"FuncCall.{plain}", space=OTHER, label=plain)
    elif plain not in HARMLESS and not is_stable(plain):
        yield Part("FuncCall", name, FUNCTION, label=name)
