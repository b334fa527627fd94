"""One supervised program, and what it prints when it is ready."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from portal.outbound.parsing import JsonObject


@dataclass
class Child:
    """One supervised program: how to start it (with the descriptor for its output), and how it
    fares.
    """

    name: str
    begin: Callable[[int], int]
    pid: int = 0  # 0: not running
    started: float = 0.0
    back_off: float = 0.0
    due: float = 0.0
    rest: bytes = b""  # a line not yet whole
    ready: JsonObject = field(default_factory=dict)  # what it said when it was ready, if it says so


def readiness(line: bytes) -> dict[str, object] | None:
    """The JSON object that a part prints when it is ready, or None for any other line."""
    try:
        answer = json.loads(line)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) and answer.get("ready") is True else None
