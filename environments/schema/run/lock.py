"""Waits until nobody else migrates the database: an advisory lock, and killed runs that end."""

import hashlib
import time
from collections.abc import Callable, Sequence
from typing import Any

import psycopg

from environments.schema.run.address import Address
from environments.schema.run.command import APPLICATION_NAME
from environments.schema.run.request import EarlyError

POLL_SECONDS = 0.5
_AT_WORK = (
    "select count(*) from pg_stat_activity where datname = current_database() and application_name"
    " = %s"
)


def hold(
    opened: psycopg.Connection, address: Address, alive: Callable[[], bool], *, wait_s: float
) -> None:
    """Wait for the lock of this database, which lives as long as `opened`, and for killed runs to
    be over.

    Polled: a blocking lock would keep a snapshot open, which a concurrent index build waits for,
    for ever. The statement of a killed run may go on in the server for a moment after its lock was
    freed.
    """
    key = int.from_bytes(
        hashlib.sha256(f"release-portal:{address.database}".encode()).digest()[:8], signed=True
    )
    deadline = time.monotonic() + wait_s
    locked = False
    while True:
        locked = locked or _first(opened, "select pg_try_advisory_lock(%s)", [key])
        if locked and not _first(opened, _AT_WORK, [APPLICATION_NAME]):
            return
        if not alive():
            why = "The run was cancelled before it began; nothing was changed."
            raise EarlyError("cancelled", why)
        if time.monotonic() >= deadline:
            why = f"{address.where} is being migrated by another run. Try again later."
            raise EarlyError("busy", why)
        time.sleep(POLL_SECONDS)


def _first(opened: psycopg.Connection, statement: str, values: Sequence[object]) -> Any:
    row = opened.execute(statement, values).fetchone()
    return row[0] if row else None
