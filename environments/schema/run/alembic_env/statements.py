"""How a statement is compared with another, and which of them say nothing of a revision.

Loaded by path where runs are followed: in the cursor of our own runs (`executed.py`) and in the
guard of a command (`child.py`). Standard library only.
"""

import hashlib
import re
from collections.abc import Collection, Iterator

MAX_STATEMENTS = 500  # different ones, of one revision
MAX_CHARACTERS = 2000
READS = "reads"  # among the keys of what may be sent: reading may be as well
# Strings, quoted names, comments and dollar quotes hide semicolons; psql's manual, chapter 4.1,
# says how they end.
_PIECE = re.compile(
    r"(?:\b[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/|(?P<tag>\$\w*\$).*?(?P=tag))"
    r"|(?P<end>;)",
    re.S,
)
_VALUES = re.compile(
    r"'(?:[^']|'')*'|%\(\w+\)s|%[sbt]|\$\d+|(?<![\w\"])-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w\"])"
    r"|\b(?:true|false|null)\b",
    re.I,
)
_CAST = re.compile(r"\?(?:\s*::\s*[A-Za-z_ ]+(?:\(\d+(?:,\s*\d+)?\))?(?:\[\])?)+")
_GROUPS = re.compile(r"\((\?(?:, ?\?)*)\)(?:, ?\(\1\))+")
_DATA = ("insert", "update", "delete", "merge", "with", "select", "copy", "call", "values")
_INTO = re.compile(r"\binto\b", re.I)  # SELECT … INTO makes a table
_READ = re.compile(r"(?:select|show|savepoint|release|set)\b", re.I)
_TRANSACTIONS = (
    r"(?:begin|commit|rollback|start"
    r" transaction|savepoint|release|deallocate|discard|close|fetch)\b[^;]*|show [\w. ]+|"
)


def shape_of(sql: str) -> str:
    """Return the statement in one line, without its values where it changes rows only."""
    text = " ".join(sql.replace("%%", "%").split()).rstrip("; ")
    if text.partition(" ")[0].lower() not in _DATA:
        return text
    return _GROUPS.sub(r"(\1)", _CAST.sub("?", _VALUES.sub("?", text)))


def key_of(sql: str) -> str:
    """Return the hash by which two runs of one statement are known to be the same."""
    return hashlib.sha256(shape_of(sql).encode()).hexdigest()[:32]


def split(sql: str) -> Iterator[str]:
    """Yield the statements of a script without semicolons; a comment alone is none."""
    start = 0
    ends = [piece.start() for piece in _PIECE.finditer(sql) if piece["end"]]
    for end in [*ends, len(sql)]:
        statement = sql[start:end].strip()
        start = end + 1
        if bare(statement):
            yield statement


def bare(sql: str) -> str:
    """Return the statement without comments and with empty strings, for rules by word."""

    def kept(piece: re.Match[str]) -> str:
        if piece["end"] or piece[0].startswith('"'):
            return piece[0]
        return " " if piece[0].startswith(("--", "/*")) else "''"

    return " ".join(_PIECE.sub(kept, sql).split())


def is_read(sql: str) -> bool:
    """Return whether a statement only reads or sets its session, by its first word."""
    text = bare(sql)
    return bool(_READ.match(text)) and not _INTO.search(text)


def is_among(sql: str, keys: Collection[str]) -> bool:
    """Return whether `keys` allow a statement, or each of several that are sent as one."""
    if key_of(sql) in keys:
        return True
    parts = tuple(split(sql))
    return bool(parts) and all(
        key_of(part) in keys or (READS in keys and is_read(part)) for part in parts
    )


def bookkeeping(version_table: str) -> re.Pattern[str]:
    """Return what matches Alembic's own writes to its table, whose values vary."""
    table = rf'(?:"?\w+"?\.)?"?{re.escape(version_table)}"?'
    return re.compile(
        rf"UPDATE {table} SET version_num ?= ?\? WHERE {table}\.version_num = \?"  # noqa: S608 - a pattern
        rf"|INSERT INTO {table} \(version_num\) VALUES \(\?\)(?: RETURNING {table}\.version_num)?"
        rf"|DELETE FROM {table} WHERE {table}\.version_num = \?"
    )


def version_in(sql: str) -> str:
    """Return the revision that one of Alembic's own writes names; "" for none."""
    match = re.search(r"(?:SET version_num ?= ?|VALUES \()'([^']+)'", sql)
    return match[1] if match else ""


def plumbing(version_table: str) -> re.Pattern[str]:
    """Return what matches transactions and the like, which say nothing of a revision."""
    columns = (
        r"\( ?version_num VARCHAR\(\d+\) NOT NULL, CONSTRAINT \S+ PRIMARY KEY \(version_num\) ?\)"
    )
    made = rf'CREATE TABLE (?:"?\w+"?\.)?"?{re.escape(version_table)}"? {columns}'
    return re.compile(f"{_TRANSACTIONS}|{made}", re.I)
