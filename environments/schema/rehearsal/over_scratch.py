"""What is done over a scratch server: a database read into it, a run, a dump once around."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from environments.git.repository import Mirror
from environments.schema.rehearsal.dump import DumpError, dump, load
from environments.schema.rehearsal.report import Request, UnknownError
from environments.schema.rehearsal.scratch_server import Scratch
from environments.schema.run import database, runner
from environments.schema.run.process import Child
from environments.schema.run.request import Outcome


@dataclass(frozen=True)
class Target:
    """A database as it was read: its `revisions`, its `schema` as text, its `server`'s version."""

    revisions: tuple[str, ...]
    schema: str
    server: str


def read_target(
    scratch: Scratch, url: str, version_table: str, alive: Callable[[], bool]
) -> Target:
    """Read a database, whose revision must not move meanwhile, and make its roles in `scratch`.

    Raise `UnknownError` where the scratch server cannot take it over, `DatabaseError`,
    `DumpError` and `Cancelled`.
    """
    with database.connection(url) as opened:
        revisions = database.revisions_in(opened, version_table)
        version = opened.info.server_version
        if version // 10_000 > scratch.version // 10_000:
            raise UnknownError(
                f"The database runs PostgreSQL {version_text(version)}, newer than the portal's"
                f" {version_text(scratch.version)}. It cannot be rehearsed here: update the "
                "portal, or rehearse manually and sign off."
            )
        wanted = [row[0] for row in opened.execute("select extname from pg_extension order by 1")]
        roles = [
            row[0]
            for row in opened.execute(r"select rolname from pg_roles where rolname !~ '^pg_'")
        ]
    if missing := [extension for extension in wanted if extension not in scratch.extensions()]:
        raise UnknownError(
            f"The database uses {', '.join(missing)}, which the scratch server does not have. "
            "Rehearse on a copy manually and sign off."
        )
    scratch.create_roles(roles)
    text = dump(url, scratch.work / "target.sql", alive)
    if database.current(url, table=version_table) != revisions:
        raise DumpError("The database was migrated while its schema was read.", busy=True)
    return Target(revisions, text, version_text(version))


def version_text(number: int) -> str:
    return f"{number // 10_000}.{number % 10_000}"


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
