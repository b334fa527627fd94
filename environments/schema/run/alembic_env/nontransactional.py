"""Which statements of a revision will stay even if it fails: those outside a transaction, and what
was committed.

Listens to one engine; run by `env.py`. An `autocommit_block` commits what came before it, so that
stays as well.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy import event

MAX_CHARACTERS = 2000


def listen(engine: object, emit: Callable[[dict[str, object]], None], version_table: str) -> None:
    """Have `emit` told `{"kept": [statement, …]}` whenever statements can no longer be rolled
    back, and `{"alone": statement}` before one is sent outside a transaction: where its answer is
    lost, nobody knows whether it was done.
    """
    open_ones: list[str] = []

    def before(connection: Any, _cursor: object, statement: str, *_: object) -> None:
        if connection.connection.dbapi_connection.autocommit:
            emit({"alone": statement.strip()[:MAX_CHARACTERS]})

    def after(connection: Any, _cursor: object, statement: str, *_: object) -> None:
        words = statement.split(None, 1)
        if not words or words[0].lower() in ("select", "show", "set") or version_table in statement:
            return
        open_ones.append(statement.strip()[:MAX_CHARACTERS])
        if connection.connection.dbapi_connection.autocommit:
            told()

    def told(*_: object) -> None:
        if open_ones:
            emit({"kept": list(open_ones)})
        open_ones.clear()

    event.listen(engine, "before_cursor_execute", before)
    event.listen(engine, "after_cursor_execute", after)
    event.listen(engine, "commit", told)
    event.listen(engine, "rollback", lambda *_: open_ones.clear())
