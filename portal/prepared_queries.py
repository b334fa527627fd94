"""Queries that every look at a page sends: compiled once, then sent with other values.

Django takes as long to compile a query of many columns as PostgreSQL takes to answer it.
"""

import copy
import functools
from collections.abc import Callable
from typing import Any

from django.db import connections
from django.db.models import Expression, Model, QuerySet
from django.db.models.sql.compiler import SQLCompiler


class _Given(Expression):
    """A place in a query for one of the values that come later."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at

    def as_sql(self, compiler: SQLCompiler, connection: object) -> Any:
        return "%s", [self]  # in the place of a value


def prepared[M: Model](build: Callable[..., QuerySet[M]]) -> Callable[..., list[M]]:
    """Return a function that reads the rows of the queryset that `build` returns for its arguments.

    `build` is called once, with placeholders: it may compare with them, and look at nothing else
    that changes, and must be able to find rows (no `none()`, no empty `__in`). The values are plain
    ones, such as keys, and not None. What `build` takes by keyword, such as a limit, belongs to the
    query: another one is another query.
    """
    count = build.__code__.co_argcount

    @functools.cache
    def compiled(**fixed: object) -> tuple[QuerySet[M], SQLCompiler, str, tuple[object, ...]]:
        rows = build(*map(_Given, range(count)), **fixed)
        compiler: Any = rows.query.get_compiler(rows.db)
        text, given = compiler.as_sql()
        compiler.connection = None  # the first caller's, which would stay open with this function
        return rows, compiler, text, given

    @functools.wraps(build)
    def read(*values: object, **fixed: object) -> list[M]:
        rows, kept, text, given = compiled(**fixed)
        put = tuple(values[value.at] if isinstance(value, _Given) else value for value in given)
        compiler: Any = copy.copy(kept)
        compiler.connection = connections[rows.db]  # each thread has its own
        compiler.as_sql = lambda *_, **__: (text, put)
        result: Any = rows.all()
        result.query.get_compiler = lambda *_, **__: compiler
        return list(result)

    return read
