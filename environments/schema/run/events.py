"""The events that a child process may report. It executes code of a repository, so each is checked.

A new kind of event gets a line in `_FORMS`. What does not fit, or comes after a bound, is left out.
"""

import json
import math
from collections.abc import Callable

MAX_EVENTS = 50_000
MAX_BYTES = 48_000_000
MAX_LINE = 12_000_000  # the SQL of one rendered direction, escaped


def _text(value: object) -> bool:
    return isinstance(value, str)


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _each(form: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, list) and all(map(form, value))


def _pair(
    first: Callable[[object], bool], second: Callable[[object], bool]
) -> Callable[[object], bool]:
    return lambda value: (
        isinstance(value, list) and len(value) == 2 and first(value[0]) and second(value[1])
    )


def _flag(value: object) -> bool:
    return isinstance(value, bool)


def _plain(value: object) -> bool:
    """Texts and whole numbers by name: an error, or what stopped the rendering."""
    return isinstance(value, dict) and all(isinstance(item, str | int) for item in value.values())


def _whole(value: object) -> bool:
    return isinstance(value, int | float) and _number(value) and value == int(value)


_FORMS: dict[str, Callable[[object], bool]] = {
    "start": _text,
    "end": _text,
    "seconds": _number,
    "backend": _whole,
    "error": _plain,
    "kept": _each(_text),
    "alone": _text,
    "over": _number,
    "statement": _text,
    "at": _number,
    "in_transaction": _flag,
    "locks": _each(_pair(_text, _text)),
    "rewritten": _each(_text),
    "executed": _text,
    "revision": _text,
    "sql": _text,
    "sent": _text,
    "rendered": _text,
    "direction": _text,
    "statements": _each(_pair(_text, _flag)),
    "problem": lambda value: value is None or _plain(value),
}
# What makes no sense without the others.
_TOGETHER = {
    "statement": {"seconds", "at", "in_transaction", "locks", "rewritten"},
    "executed": {"revision", "sql"},
    "sent": {"sql"},
    "rendered": {"direction", "statements", "problem"},
}


class Hearing:
    """Makes events out of what comes through the pipe."""

    def __init__(self) -> None:
        self._rest = b""
        self._count = self._bytes = 0

    def feed(self, data: bytes) -> list[dict[str, object]]:
        """Return the events that are whole by now."""
        self._bytes += len(data)
        if self._bytes > MAX_BYTES:
            return []
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._rest = self._rest[: MAX_LINE + 1]
        events = [event for line in lines if len(line) <= MAX_LINE and (event := _event(line))]
        kept = events[: max(0, MAX_EVENTS - self._count)]
        self._count += len(kept)
        return kept


def _event(line: bytes) -> dict[str, object] | None:
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    fits = (
        isinstance(event, dict)
        and event
        and all(_FORMS.get(name, _never)(value) for name, value in event.items())
    )
    whole = fits and all(
        others <= set(event) for name, others in _TOGETHER.items() if name in event
    )
    return event if whole else None


def _never(_value: object) -> bool:
    return False
