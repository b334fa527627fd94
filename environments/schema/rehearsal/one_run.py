"""One upgrade or downgrade of a rehearsal, on the scratch database."""

from collections.abc import Callable

from environments.git.repository import Mirror
from environments.schema.rehearsal.report import Request
from environments.schema.rehearsal.scratch_server import Scratch
from environments.schema.run import runner
from environments.schema.run.process import Child
from environments.schema.run.request import Outcome, Run


def run_in(
    scratch: Scratch,
    mirror: Mirror,
    request: Request,
    url: str,
    direction: str,
    target: tuple[str, ...],
    child: Child,
    alive: Callable[[], bool],
) -> Outcome:
    """Run once what is rehearsed, over the scratch database at `url`."""
    if request.command:  # a project may know one kind of address only
        url = f"{request.url.partition('://')[0]}://{url.partition('://')[2]}"
    wanted = Run(
        commit=request.commit,
        alembic=request.alembic,
        url=url,
        target=target,
        direction=direction,
        lock_timeout_ms=request.lock_timeout_ms,
        statement_timeout_ms=request.statement_timeout_ms,
        time_limit_s=request.time_limit_s,
        version_table=request.version_table,
        record=True,
        workspace=scratch.work,
        child=child,
        command=request.command,
    )
    return runner.run(mirror, wanted, on_lines=lambda lines: None, alive=alive)
