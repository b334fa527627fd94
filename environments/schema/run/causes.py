"""Explains errors of PostgreSQL in plain words: which table and column, never anybody's data.

The values in an error's DETAIL are left out: sentences go into messages and the audit trail.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

_KEY = re.compile(r"Key \((.+?)\)=")
_OTHER = re.compile(r'(?:in|from) table "([^"]+)"')
_TABLE = re.compile(r'(?:of relation|in table|on table|relation|table) "([^"]+)"')
_COLUMN = re.compile(r'column "([^"]+)"')
_CONSTRAINT = re.compile(r'constraint "([^"]+)"')
_EXTENSION = re.compile(r'extension "([^"]+)" is not available')
_INDEX = re.compile(r'index "([^"]+)"')


@dataclass(frozen=True)
class _Error:
    message: str
    detail: str
    table: str
    column: str
    constraint: str

    @property
    def place(self) -> str:
        """Table and columns: “workspaces.name”, or as much of it as is known."""
        key = _KEY.search(self.detail)
        columns = key[1] if key else self.column
        if self.table and columns:
            return f"{self.table}.{columns}" if "," not in columns else f"{self.table} ({columns})"
        return self.table or columns or "a table"

    @property
    def named(self) -> str:
        """The constraint in brackets, where it is known."""
        return f" (constraint {self.constraint})" if self.constraint else ""


def _duplicate(error: _Error) -> str:
    rows = "at least 2 rows hold the same value"
    if "could not create" not in error.message:
        rows = "a row with this value exists"
    return f"duplicate key in {error.place}: {rows}{error.named}"


def _foreign(error: _Error) -> str:
    other = _OTHER.search(error.detail)
    if other and "still referenced" in error.detail:
        own = _TABLE.search(error.message)  # the error names the other table as its own
        place = replace(error, table=own[1] if own else "").place
        return f"rows of {other[1]} still refer to {place}{error.named}"
    lacking = f"a row that {other[1]} lacks" if other else "a row that does not exist"
    return f"{error.place} refers to {lacking}{error.named}"


_WORDS: dict[str, Callable[[_Error], str]] = {
    "23505": _duplicate,
    "23503": _foreign,
    "23502": lambda error: f"{error.place} holds null, and must not",
    "23514": lambda error: f"a row of {error.table or 'the table'} breaks a check{error.named}",
    "23P01": lambda error: f"two rows of {error.table or 'the table'} conflict{error.named}",
    "40P01": lambda error: "deadlock with another session; the statement was rolled back",
    "55P03": lambda error: "lock timeout: another session held the lock for too long",
    "57014": lambda error: (
        "statement timeout: the statement took longer than allowed and was canceled"
    ),
    "57P01": lambda error: "the database server ended the connection",
    "53100": lambda error: "the database server's disk is full",
    "53300": lambda error: "the database server has no free connection",
    "42501": lambda error: f"the role of the connection lacks a permission: {error.message}",
}
_WITHOUT_CODE = (  # what a command printed has no SQLSTATE
    ("duplicate key value|could not create unique index", "23505"),
    ("violates foreign key constraint", "23503"),
    ("violates not-null constraint|contains null values", "23502"),
    ("violates check constraint|is violated by some row", "23514"),
    ("deadlock detected", "40P01"),
    ("due to lock timeout", "55P03"),
    ("due to statement timeout", "57014"),
)


def cause(error: Mapping[str, object]) -> str:
    """Return what went wrong in plain words; "" where PostgreSQL's own sentence is the clearest.

    `error`: message, sqlstate, detail, table, column and constraint, as far as known.
    """
    known = {name: str(error.get(name) or "").strip() for name in _Error.__annotations__}
    message = known["message"]
    code = str(error.get("sqlstate") or "") or next(
        (code for pattern, code in _WITHOUT_CODE if re.search(pattern, message)), ""
    )
    for name, pattern in (("table", _TABLE), ("column", _COLUMN), ("constraint", _CONSTRAINT)):
        if not known[name] and (match := pattern.search(message)):
            known[name] = match[1]
    if not known["constraint"] and (match := _INDEX.search(message)):
        known["constraint"] = match[1]
    if lacking := _EXTENSION.search(message):
        way = f"use a database whose server has {lacking[1]}, such as an image that is made with it"
        return f"{lacking[0]} on this server; {way}"
    return _WORDS[code](_Error(**known)) if code in _WORDS else ""
