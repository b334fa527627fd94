"""What a run sends to its database, told as it happens, and refused where staging did not run it.

Sits in the cursor, so that statements which go past SQLAlchemy are heard as well. It lives in the
process that executes the revision, so its word is that process's word. Standard library and psycopg
only.
"""

import runpy
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

if TYPE_CHECKING:
    from typing import Self

    from psycopg.abc import Query

_statements = runpy.run_path(str(Path(__file__).with_name("statements.py")))
MAX_STATEMENTS, MAX_CHARACTERS = _statements["MAX_STATEMENTS"], _statements["MAX_CHARACTERS"]
_NAMES = ("shape_of", "key_of", "is_among", "bookkeeping")
shape_of, key_of, is_among, bookkeeping_of = (_statements[name] for name in _NAMES)


class NotStagedError(Exception):
    """The statement was about to run and is none that staging ran."""


def cursor(
    run: dict[str, Any], emit: Callable[[dict[str, object]], None]
) -> type[psycopg.Cursor[object]]:
    """Return a cursor that has `emit` told of each new statement of `run["current"]` before it is
    sent.

    `run["expected"]`: by revision, the keys of what staging ran; of others it is only told.
    """
    note = _listener(run, emit)

    class Heard(psycopg.Cursor[object]):
        def execute(self, query: "Query", *values: Any, **options: Any) -> "Self":
            note(query)
            return super().execute(query, *values, **options)

        def executemany(self, query: "Query", *values: Any, **options: Any) -> None:
            note(query)
            super().executemany(query, *values, **options)

        def stream(self, query: "Query", *values: Any, **options: Any) -> Iterator[object]:
            note(query)
            return super().stream(query, *values, **options)

        def copy(self, statement: "Query", *values: Any, **options: Any) -> Any:
            note(statement)
            return super().copy(statement, *values, **options)

    return Heard


def _listener(
    run: dict[str, Any], emit: Callable[[dict[str, object]], None]
) -> Callable[[object], None]:
    """Return what each statement is shown before it is sent; raise `NotStagedError`."""
    expected: Mapping[str, list[str]] = run.get("expected") or {}
    heard: dict[str, set[str]] = {}
    bookkeeping = bookkeeping_of(run["version_table"])

    def note(query: object) -> None:
        revision = run.get("current")
        text = query.decode() if isinstance(query, bytes) else str(query)
        if not revision or bookkeeping.fullmatch(shape_of(text)):
            return
        key, known = key_of(text), heard.setdefault(revision, set())
        if revision in expected and not is_among(text, expected[revision]):
            message = " ".join(text.split())[:300]
            raise NotStagedError(
                f"staging did not run this statement, so it was not run here: {message}"
            )
        if key in known or len(known) >= MAX_STATEMENTS:
            return
        known.add(key)
        emit({"executed": key, "revision": revision, "sql": text.strip()[:MAX_CHARACTERS]})

    return note
