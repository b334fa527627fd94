"""Reading what came from outside: every value is data, bounded and of the type that was asked for.

Titles, names and messages written by others may hold control characters, half surrogates (which no
database takes) or signs that turn the reading direction round; links may start with `javascript:`.
Nothing of that passes these functions: what cannot be seen is written out, as
`portal.invisible_characters` does everywhere, and not left out, or a branch `ma⟨U+200B⟩in` would
pass for `main`.
"""

import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from portal.invisible_characters import visible
from portal.redaction import without_secrets

_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")  # SHA-1, or SHA-256 in newer repositories


# A JSON object, of which nothing is known until `field` or `get_path` has read it, or which the
# portal wrote itself.
type JsonObject = dict[str, Any]


class Malformed(ValueError):
    """An answer does not have the shape its vendor promises; the text names the field."""


def text(value: object, limit: int = 300) -> str:
    """Return `value` as one bounded line in which all can be seen; "" for what is no text."""
    if not isinstance(value, str):
        return ""
    return " ".join(visible(value[: limit * 4]).split())[:limit]


def quoted(value: object, limit: int = 300) -> str:
    """Do the same as `text`, without credentials, not even the beginning of one at the bound."""
    return text(without_secrets(value), limit) if isinstance(value, str) else ""


def lines(value: object, limit: int = 10_000) -> str:
    """Do the same as `text`, for texts of several lines: line breaks and tabs stay."""
    if not isinstance(value, str):
        return ""
    return visible(value[: limit * 2]).replace("\r\n", "\n")[:limit]


def word(value: object) -> str:
    """Return a vendor's word (an enum value, known or not) in lower case; "" for what is none."""
    return text(value, 60).lower()


def link(value: object) -> str:
    """Return an `http` or `https` address that can be seen whole, else the empty string."""
    if not isinstance(value, str) or len(value) > 2000 or value != "".join(visible(value).split()):
        return ""
    try:
        parts = urlsplit(value)
    except ValueError:
        return ""
    return value if parts.scheme in {"http", "https"} and parts.netloc else ""


def moment(value: object) -> datetime | None:
    """Return an ISO 8601 time as an aware datetime in UTC; None when it is none."""
    if not isinstance(value, str):
        return None
    try:
        parsed = datetime.fromisoformat(value)
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def commit(value: object) -> str | None:
    """Return a full commit id in lower case, else None."""
    return value.lower() if isinstance(value, str) and _COMMIT.fullmatch(value.lower()) else None


def field[T](data: object, name: str, kind: type[T]) -> T:
    """Return `data[name]`; raise `Malformed` where it is no `kind` (True is no number)."""
    value = data.get(name) if isinstance(data, dict) else None
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise Malformed(f"{name} is missing or not {kind.__name__}")
    return value


def optional[T](data: object, name: str, kind: type[T]) -> T | None:
    """Do the same as `field`, but a missing or null value is None."""
    if isinstance(data, dict) and data.get(name) is None:
        return None
    return field(data, name, kind)


def nullable[T](data: object, name: str, kind: type[T]) -> T | None:
    """Do the same as `field`, but null is None."""
    if isinstance(data, dict) and name in data and data[name] is None:
        return None
    return field(data, name, kind)


def commit_field(data: object, name: str) -> str:
    """Return a full commit id under `name`; raise `Malformed` for anything else."""
    if sha := commit(field(data, name, str)):
        return sha
    raise Malformed(f"{name} is not a commit id")


def get_path(data: object, *names: str) -> object:
    """Return `data[a][b][c]`, or None as soon as one step is not there."""
    for name in names:
        data = data.get(name) if isinstance(data, dict) else None
    return data
