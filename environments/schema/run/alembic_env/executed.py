"""What a run sends to its database, told as it happens, and refused where staging did not run it.

Sits in the cursor of the run's own connection, so that statements which go past SQLAlchemy are heard as well. It
lives in the process that executes the revision: its word is that process's word, and pages say so. Standard library
and psycopg only; the portal uses `key_of` too.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any

import psycopg

MAX_STATEMENTS = 500  # different ones, of one revision
MAX_CHARACTERS = 2000
_VALUES = re.compile(
    r"'(?:[^']|'')*'|%\(\w+\)s|%[sbt]|\$\d+|(?<![\w\"])-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w\"])"
    r"|\b(?:true|false|null)\b",
    re.I,
)
_CAST = re.compile(r"\?(?:\s*::\s*[A-Za-z_ ]+(?:\(\d+(?:,\s*\d+)?\))?(?:\[\])?)+")
_GROUPS = re.compile(r"\((\?(?:, ?\?)*)\)(?:, ?\(\1\))+")
_DATA = ("insert", "update", "delete", "merge", "with", "select", "copy", "call", "values")


class NotStagedError(Exception):
    """The statement was about to run and is none that staging ran."""


def shape_of(sql: str) -> str:
    """Return the statement as it is compared: in one line, and without its values where it changes rows only."""
    text = " ".join(sql.replace("%%", "%").split()).rstrip("; ")
    if text.partition(" ")[0].lower() not in _DATA:
        return text
    return _GROUPS.sub(r"(\1)", _CAST.sub("?", _VALUES.sub("?", text)))


def key_of(sql: str) -> str:
    """Return the hash by which two runs of one statement are known to be the same."""
    return hashlib.sha256(shape_of(sql).encode()).hexdigest()[:32]


def cursor(run: dict[str, Any], emit: Callable[[dict[str, Any]], None]) -> type[psycopg.Cursor[Any]]:
    """Return a cursor that has `emit` told of each different statement of `run["current"]`, before it is sent.

    `run["expected"]` maps a revision to the keys of what staging ran of it; one that is not in it is only told of.
    """
    expected: Mapping[str, list[str]] = run.get("expected") or {}
    heard: dict[str, set[str]] = {}
    table = rf'(?:"?\w+"?\.)?"?{re.escape(run["version_table"])}"?'
    # Alembic's own statements, which depend on where the database was.
    bookkeeping = re.compile(
        rf"UPDATE {table} SET version_num ?= ?\? WHERE {table}\.version_num = \?"  # noqa: S608 - a pattern
        rf"|INSERT INTO {table} \(version_num\) VALUES \(\?\)(?: RETURNING {table}\.version_num)?"
        rf"|DELETE FROM {table} WHERE {table}\.version_num = \?"
    )

    def note(query: Any) -> None:
        revision = run.get("current")
        text = query if isinstance(query, str) else query.decode() if isinstance(query, bytes) else str(query)
        if not revision or bookkeeping.fullmatch(shape_of(text)):
            return
        key, known = key_of(text), heard.setdefault(revision, set())
        if revision in expected and key not in expected[revision]:
            said = " ".join(text.split())[:300]
            raise NotStagedError(f"staging did not run this statement, so it was not run here: {said}")
        if key in known or len(known) >= MAX_STATEMENTS:
            return
        known.add(key)
        emit({"executed": key, "revision": revision, "sql": text.strip()[:MAX_CHARACTERS]})

    class Heard(psycopg.Cursor[Any]):
        def execute(self, query: Any, *values: Any, **options: Any) -> Any:
            note(query)
            return super().execute(query, *values, **options)

        def executemany(self, query: Any, *values: Any, **options: Any) -> None:
            note(query)
            super().executemany(query, *values, **options)

        def stream(self, query: Any, *values: Any, **options: Any) -> Any:
            note(query)
            return super().stream(query, *values, **options)

        def copy(self, statement: Any, *values: Any, **options: Any) -> Any:
            note(statement)
            return super().copy(statement, *values, **options)

    return Heard
