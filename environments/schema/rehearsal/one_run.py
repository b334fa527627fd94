"""One step of a rehearsal on its scratch server: an upgrade or downgrade, a dump once around."""

from collections.abc import Callable
from dataclasses import replace

from environments.git.repository import Mirror
from environments.schema.rehearsal.dump import dump, load
from environments.schema.rehearsal.report import Request
from environments.schema.rehearsal.scratch_server import Scratch
from environments.schema.run import runner
from environments.schema.run.process import Child
from environments.schema.run.request import Outcome


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
    wanted = replace(
        request,
        url=url,
        target=target,
        direction=direction,
        record=True,
        workspace=scratch.work,
        child=child,
    )
    return runner.run(mirror, wanted, on_lines=lambda lines: None, alive=alive)


def trip(scratch: Scratch, text: str, alive: Callable[[], bool]) -> str:
    """Return a dump once more around: loaded into an empty database, and dumped."""
    url = scratch.create("rehearsal_trip")
    try:
        load(text, url, scratch.work / "trip.sql", alive)
        return dump(url, scratch.work / "again.sql", alive)
    finally:
        scratch.drop("rehearsal_trip")
