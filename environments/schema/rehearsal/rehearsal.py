"""A rehearsal: migrations run up, down and up again over a copy of a database's schema.

The database is only read: its version table, names of extensions and roles, and its schema.
Everything else happens in a scratch server that lives as long as the rehearsal. No row is copied,
so seconds are those of empty tables; locks, rewrites and errors are the real ones.
"""

import time
from collections.abc import Callable

from environments.git.repository import Mirror
from environments.schema.history.reader import read
from environments.schema.rehearsal.dump import Cancelled, DumpError
from environments.schema.rehearsal.phases import Rehearsal
from environments.schema.rehearsal.report import CANCELLED, UNKNOWN, Report, Request, UnknownError
from environments.schema.rehearsal.scratch_server import scratch_server


def rehearse(
    mirror: Mirror,
    request: Request,
    *,
    on_phase: Callable[[Report, str], None],
    alive: Callable[[], bool],
) -> Report:
    """Do it, and leave nothing behind. `on_phase` gets the report so far and the phase that begins.

    Raise `GitError`, `HistoryError`, `DatabaseError` and busy `DumpError`: nothing was learnt.
    """
    report = Report()
    try:
        history = read(mirror, request.commit, request.alembic)
        if history.problems:
            raise UnknownError(history.problems[0].sentence)
        on_phase(report, "server")
        began = time.monotonic()
        with scratch_server(request.root) as scratch:
            report.phases += (("server", time.monotonic() - began),)
            Rehearsal(mirror, request, history, scratch, report, on_phase, alive).run()
    except (UnknownError, DumpError) as error:
        if isinstance(error, DumpError) and error.busy:
            raise
        report.status, report.sentence = UNKNOWN, str(error)
    except Cancelled:
        report.status = CANCELLED
        report.sentence = "The rehearsal was canceled; nothing of it remains."
    return report
