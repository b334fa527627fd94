"""What each statement of a rehearsal took and locked, asked of PostgreSQL on the same connection.

Locks are read when a statement has ended, inside its transaction, where they are all still held.
What runs outside a transaction has let go of its locks by then, so for that none are told. Loaded
by path: by our `env.py`, and in the project's own Python by `listener/sitecustomize.py`. So only
the standard library and SQLAlchemy here, and nothing newer than Python 3.9.
"""

from __future__ import annotations

import contextlib
import time
from typing import Any

MAX_STATEMENTS = 500  # of one run
MAX_CHARACTERS = 2000
_OURS = "n.nspname not in ('pg_catalog', 'information_schema') and n.nspname not like 'pg_toast%'"
_TABLES = (
    "select c.oid, n.nspname || '.' || c.relname, c.relfilenode from pg_class c"  # noqa: S608 - nothing comes from outside
    " join pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r', 'p', 'm', 'v', 'S')"
    f" and {_OURS}"
)
_LOCKS = (
    "select l.relation, l.mode, c.relfilenode from pg_locks l left join pg_class c on c.oid ="
    " l.relation where l.pid = pg_backend_pid() and l.locktype = 'relation' and l.granted"
)


class Recorder:
    """Tells `run["emit"]` of each statement of `run["current"]`, and of each transaction's end."""

    def __init__(self, run: dict[str, Any], *ignored: type[Exception]) -> None:
        """Hear `run`; `ignored`: what may go wrong with our questions without ending it."""
        self.run, self.ignored = run, ignored
        self.known: dict[int, tuple[str, int]] = {}  # what was there before this transaction
        self.fresh = False
        self.count = 0
        self.began = 0.0

    def listen(self, engine: object) -> None:
        """Hear an engine, or by its class every engine."""
        from sqlalchemy import event

        event.listen(engine, "before_cursor_execute", self.before)
        event.listen(engine, "after_cursor_execute", self.after)
        event.listen(engine, "commit", self.over)
        event.listen(engine, "rollback", self.over)

    def before(self, connection: object, *_: object) -> None:
        dbapi = _dbapi(connection)
        if self.run["current"] and (not self.fresh or _autocommits(dbapi)):
            with contextlib.suppress(*self.ignored):
                self.known = {oid: (name, node) for oid, name, node in _ask(dbapi, _TABLES)}
                self.fresh = True
        self.began = time.monotonic()

    def after(self, connection: object, _cursor: object, statement: str, *_: object) -> None:
        ended, table = time.monotonic(), self.run["version_table"]
        if not self.run["current"] or self.count >= MAX_STATEMENTS or table in statement:
            return
        self.count += 1
        dbapi = _dbapi(connection)
        apart, rows, nodes = _autocommits(dbapi), list[tuple[int, str, int]](), dict[int, int]()
        with contextlib.suppress(*self.ignored):
            rows = [] if apart else _ask(dbapi, _LOCKS)
            nodes = {oid: node for oid, _, node in (_ask(dbapi, _TABLES) if apart else rows)}
        locks = [[self.known[oid][0], mode] for oid, mode, _ in rows if oid in self.known]
        new = {
            oid: (self.known[oid][0], node)
            for oid, node in nodes.items()
            if node and oid in self.known and self.known[oid][1] != node
        }
        self.run["emit"](
            {
                "statement": statement.strip()[:MAX_CHARACTERS],
                "seconds": ended - self.began,
                "at": self.began,
                "in_transaction": not apart,
                "locks": [lock for lock in locks if not lock[0].endswith(f".{table}")],
                "rewritten": sorted({name for name, _ in new.values()}),
            }
        )
        self.known.update(new)  # a rewrite is told once, by the statement that did it

    def over(self, *_: object) -> None:
        self.fresh = False
        self.run["emit"]({"over": time.monotonic()})


def _ask(dbapi: Any, sql: str) -> list[Any]:
    """Return the rows of a question of ours, on the same connection and past SQLAlchemy."""
    with contextlib.closing(dbapi.cursor()) as cursor:
        cursor.execute(sql)
        return [tuple(row) for row in cursor.fetchall()]


def _dbapi(connection: Any) -> Any:
    pooled = connection.connection
    return getattr(pooled, "dbapi_connection", None) or pooled.connection


def _autocommits(dbapi: object) -> bool:
    return (
        getattr(dbapi, "autocommit", False) is True
        or getattr(dbapi, "isolation_level", "") == "autocommit"
    )
