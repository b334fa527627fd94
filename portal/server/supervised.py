"""What the supervisor and its parts share: one supervised program, and what is printed of it."""

import json
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from portal.outbound.parsing import JsonObject


@dataclass
class Child:
    """One supervised program: how to start it, given its output's descriptor, and how it fares."""

    name: str
    begin: Callable[[int], int]
    pid: int = 0  # 0: not running
    started: float = 0.0
    back_off: float = 0.0
    due: float = 0.0
    rest: bytes = b""  # a line not yet whole
    ready: JsonObject = field(default_factory=dict)  # what it said when it was ready, if it says so


def readiness(line: bytes) -> dict[str, object] | None:
    """Return the JSON object that a part prints when it is ready, or None for any other line."""
    try:
        answer = json.loads(line)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) and answer.get("ready") is True else None


def say(text: str, name: str = "portal") -> None:
    """Print one line for the person at the terminal; a terminal that is gone must not stop us."""
    with suppress(OSError):
        sys.stdout.write(f"{name:7} | {text}\n")
        sys.stdout.flush()
