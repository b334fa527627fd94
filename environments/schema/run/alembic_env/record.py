"""What each statement of a rehearsal took and locked, asked of PostgreSQL on the same connection;
run by `env.py`.

Locks are read when a statement has ended, inside its transaction, where they are all still held.
What runs outside a transaction has let go of its locks by then, so for that none are told.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import event

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
    """Listens to one engine; `emit` gets an event for every statement and for every end of a
    transaction.
    """

    def __init__(self, emit: Callable[[dict[str, object]], None], version_table: str) -> None:
        self.emit, self.version_table = emit, version_table
        self.known: dict[int, tuple[str, int]] = {}  # what was there before this transaction
        self.fresh = False
        self.count = 0
        self.began = 0.0

    def before(self, connection: Any, *_: object) -> None:
        dbapi = connection.connection.dbapi_connection
        if not self.fresh or dbapi.autocommit:
            with dbapi.cursor() as cursor:
                self.known = {
                    oid: (name, node) for oid, name, node in cursor.execute(_TABLES).fetchall()
                }
            self.fresh = True
        self.began = time.monotonic()

    def after(self, connection: Any, _cursor: object, statement: str, *_: object) -> None:
        ended = time.monotonic()
        if self.version_table in statement or self.count >= MAX_STATEMENTS:
            return
        self.count += 1
        dbapi = connection.connection.dbapi_connection
        with dbapi.cursor() as cursor:
            held = cursor.execute(_LOCKS).fetchall()
            if dbapi.autocommit:
                nodes = {oid: node for oid, _, node in cursor.execute(_TABLES).fetchall()}
                held = [(oid, "", node) for oid, node in nodes.items()]
        rewritten = {self.known[oid][0] for oid, _, node in held if self._is_new(oid, node)}
        self.emit(
            {
                "statement": statement.strip()[:MAX_CHARACTERS],
                "seconds": ended - self.began,
                "at": self.began,
                "in_transaction": not dbapi.autocommit,
                "locks": [
                    [self._name(oid), mode] for oid, mode, _ in held if mode and self._name(oid)
                ],
                "rewritten": sorted(rewritten),
            }
        )
        # A rewrite is told once, by the statement that did it.
        self.known |= {
            oid: (self.known[oid][0], node) for oid, _, node in held if self._is_new(oid, node)
        }

    def _is_new(self, oid: int, node: int | None) -> bool:
        return bool(node) and oid in self.known and self.known[oid][1] != node

    def _name(self, oid: int) -> str:
        name = self.known[oid][0] if oid in self.known else ""
        return "" if name.endswith(f".{self.version_table}") else name

    def over(self, *_: object) -> None:
        self.fresh = False
        self.emit({"over": time.monotonic()})


def listen(
    engine: object, emit: Callable[[Mapping[str, object]], None], version_table: str
) -> None:
    """Have `emit` told of everything that goes through `engine`."""
    recorder = Recorder(emit, version_table)
    event.listen(engine, "before_cursor_execute", recorder.before)
    event.listen(engine, "after_cursor_execute", recorder.after)
    event.listen(engine, "commit", recorder.over)
    event.listen(engine, "rollback", recorder.over)
