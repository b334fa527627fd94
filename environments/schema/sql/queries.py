"""What a query changes, and which functions it calls."""

from collections.abc import Iterator

from environments.schema.sql.functions import HARMLESS, is_stable
from environments.schema.sql.parser import enum, kind, named, path, unwrap, walk
from environments.schema.sql.part import FUNCTION, OTHER, Part


def of_query(statement: object) -> Iterator[Part]:
    """Yield what a query changes, also within WITH, and the unknown functions that it calls."""
    locks = False
    for here in walk(statement):
        node = kind(here)
        if node == "InsertStmt":
            more, query = "", unwrap(here.select_stmt)
            if enum(here.on_conflict_clause, "action") == "ONCONFLICT_UPDATE":
                more = ".CONFLICT"
            elif query is not None and not query.values_lists:
                more = ".SELECT"
            yield Part(f"InsertStmt{more}", named(here.relation))
        elif node in ("UpdateStmt", "DeleteStmt", "MergeStmt"):
            yield Part(node, named(here.relation))
        elif node == "FuncCall":
            yield from _called(path(here.funcname))
        elif node == "IntoClause":
            yield Part("SelectStmt.INTO", named(here.rel))
        locks = locks or node == "LockingClause"
    if kind(statement) == "SelectStmt":
        yield Part("SelectStmt.FOR UPDATE" if locks else "SelectStmt")


def _called(name: str) -> Iterator[Part]:
    plain = name.removeprefix("pg_catalog.")
    if plain in ("setval", "set_config"):
        yield Part(f"FuncCall.{plain}", space=OTHER, label=plain)
    elif plain not in HARMLESS and not is_stable(plain):
        yield Part("FuncCall", name, FUNCTION, label=name)
