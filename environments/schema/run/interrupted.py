"""Whether a run whose database went away may be repeated without a person.

Only where the whole of the revision that was cut off was rolled back, and where nobody ended its
session on purpose: who terminates a migration that is in their way does not want it again.
"""

import time
from collections.abc import Mapping

from environments.schema.run.address import DatabaseError
from environments.schema.run.database import connection
from environments.schema.run.process import Finished
from environments.schema.run.request import Run

# What PostgreSQL says as it goes down: by an administrator's word, after a crash, coming up again.
GOING_DOWN = frozenset({"57P01", "57P02", "57P03"})


def may_be_repeated(request: Run, ended: Finished, invalid: tuple[str, ...]) -> bool:
    """Return whether the run lost its database by a restart or a cut line, and left nothing.

    `invalid`: the invalid indexes that the database has now. False for a project's own command,
    and for what Railway runs: of these, nobody heard what they sent outside a transaction.
    """
    if request.command or request.elsewhere or invalid or _left_something(ended):
        return False
    if ended.stopped == "lock lost":
        return _restarted(request, ended)
    error = ended.last("error") or {}
    code = str(error.get("sqlstate") or "")
    dropped = not code and error.get("type") == "OperationalError"  # the line ended without a word
    return not ended.stopped and (dropped or (code in GOING_DOWN and _restarted(request, ended)))


def _left_something(ended: Finished) -> bool:
    """Return whether the last revision sent something outside a transaction, or committed."""
    since: list[Mapping[str, object]] = []
    for event in ended.events:
        since = [] if "start" in event else [*since, event]
    return any("kept" in event or "alone" in event for event in since)


def _restarted(request: Run, ended: Finished) -> bool:
    """Return whether the server was started after the run began, by the server's own clock."""
    asked = "select extract(epoch from clock_timestamp() - pg_postmaster_start_time())"
    try:
        with connection(request.url, connect_timeout=5) as opened:
            row = opened.execute(asked).fetchone()
    except DatabaseError:
        return False
    return row is not None and float(row[0]) < time.monotonic() - ended.began
