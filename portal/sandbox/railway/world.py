"""What the stand-in knows: plain rows in one dictionary, one lock, one file that a `kill -9` cannot
tear.

Row keys are the API's field names, so that most fields need no resolver. Times shown are ISO 8601
text, times computed with are seconds since the epoch.
"""

import json
import os
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .addresses import Addresses

Row = dict[str, Any]

TABLES = (
    "projects",
    "environments",
    "services",
    "instances",
    "triggers",
    "variables",
    "deployments",
    "domains",
    "patches",
    "rules",
    "volumes",
    "backups",
    "tokens",
    "keys",
)


class Refused(Exception):
    """A failure as Railway words it; becomes one entry of `errors` in an HTTP 200."""

    def __init__(
        self, message: str = "Not Authorized", code: str = "INTERNAL_SERVER_ERROR"
    ) -> None:
        super().__init__(message)
        self.extensions = {"code": code}


@dataclass
class World:
    """The whole state and what it rests on. Touch `data` only inside `reading` or `changing`."""

    path: Path
    repository: Path
    repository_name: str
    clock: Callable[[], float]
    seconds_per_state: float
    addresses: Addresses
    data: dict[str, Any] = field(default_factory=dict)
    dirty: bool = False
    together: int = 0
    lock: threading.RLock = field(default_factory=threading.RLock)
    # Names of webhook events and the deployments they tell of, taken by the sender.
    outbox: list[tuple[str, Row]] = field(default_factory=list)
    stirred: threading.Event = field(default_factory=threading.Event)

    def load(self) -> bool:
        """Read the file; False, and an empty state, when there is none yet."""
        self.data = {table: {} for table in TABLES} | {
            "moving": [],
            "frozen": False,
            "knobs": {},
            "heads": {},
        }
        if not self.path.exists():
            return False
        self.data |= json.loads(self.path.read_text())
        return True

    def save(self) -> None:
        """Write beside the file and rename: a reader or a killed process sees the old or the new
        state.
        """
        fresh = self.path.with_suffix(".new")
        fresh.write_text(json.dumps(self.data))
        os.replace(fresh, self.path)
        self.dirty = False

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Hold the lock; save only when something marked the state as changed."""
        with self.lock:
            try:
                yield
            finally:
                if self.dirty and not self.together:
                    self.save()
                if self.outbox or self.data["moving"]:
                    self.stirred.set()

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Hold the lock and save, also after an error: what was done stays done."""
        with self.reading():
            self.dirty = True
            yield

    @contextmanager
    def saved_once(self) -> Iterator[None]:
        """Hold the lock and save at the end only: for very many changes, none of which must survive
        a kill.
        """
        with self.changing():
            self.together += 1
            try:
                yield
            finally:
                self.together -= 1

    def iso(self, at: float | None = None) -> str:
        moment = datetime.fromtimestamp(self.clock() if at is None else at, UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def add(self, table: str, **values: Any) -> Row:
        """Return a new row with its own id and times, stored in `table`."""
        now = self.iso()
        row = {
            "id": str(uuid.uuid4()),
            "createdAt": now,
            "updatedAt": now,
            "deletedAt": None,
        } | values
        self.data[table][row["id"]] = row
        return row

    def rows(self, table: str, **wanted: Any) -> list[Row]:
        """Return rows of `table` whose values equal all of `wanted`, in the order of their
        creation.
        """
        rows_found = self.data[table].values()
        return [
            row for row in rows_found if all(row.get(key) == value for key, value in wanted.items())
        ]

    def one(self, table: str, **wanted: Any) -> Row | None:
        return next(iter(self.rows(table, **wanted)), None)

    def get(self, table: str, id: str | None) -> Row:
        """Return the row, or the refusal that Railway gives for what does not exist."""
        row = self.data[table].get(id)
        if row is None:
            raise Refused()
        return row

    def drop(self, table: str, **wanted: Any) -> None:
        for row in self.rows(table, **wanted):
            del self.data[table][row["id"]]

    def instance(self, environment_id: str | None, service_id: str | None) -> Row:
        """Return the service in that environment; refuse, in other words, while it has not appeared
        yet.
        """
        row = self.one("instances", environmentId=environment_id, serviceId=service_id)
        if row is None:
            raise Refused()
        if row["visibleAt"] > self.clock():
            raise Refused("Problem processing request")
        return row
