"""The outside world at the beginning of a journey: furnished once by each test process, then
copied.

The sample's history takes a hundred runs of git and never differs, so only what a journey does with
it is its own.
"""

import atexit
import functools
import shutil
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import psycopg
from django.conf import settings
from psycopg import sql

from portal.sandbox import databases, furnish, sample, shapes
from portal.sandbox.github import GitHubStandIn
from portal.sandbox.railway import RailwayStandIn

DATABASE = (  # where each environment's own database is written into the copy
    "postgresql://nobody@nowhere/{}"
)


def stand_ins(
    directory: Path,
    targets: dict[str, str],
    clock: Callable[[], datetime],
    shape: Sequence[str] = (),
) -> tuple[GitHubStandIn, RailwayStandIn]:
    """GitHub with the sample, and Railway with it live in both environments, in `directory`.

    `targets` are the environments' databases; `clock` tells both what time it is; `shape` names
    what the project looks like.
    """
    shutil.copytree(_furnished(tuple(shape)) / "github", directory / "github")
    (directory / "railway").mkdir()
    text = (_furnished(tuple(shape)) / "railway" / "railway.json").read_text()
    for kind, url in targets.items():
        text = text.replace(DATABASE.format(kind), url)
    (directory / "railway" / "railway.json").write_text(text)
    return _github(directory, clock), _railway(directory, clock)


def _github(directory: Path, clock: Callable[[], datetime]) -> GitHubStandIn:
    return GitHubStandIn(directory / "github", owner="acme", name="inspector", clock=clock)


def _railway(directory: Path, clock: Callable[[], datetime]) -> RailwayStandIn:
    return RailwayStandIn(
        directory / "railway",
        repository=directory / "github" / "repository.git",
        repository_name="acme/inspector",
        clock=lambda: clock().timestamp(),
        seconds_per_state=0.02,
    )


@functools.cache
def _sample(build: Callable[[Path], sample.Sample] = sample.build) -> sample.Sample:
    return build(_directory(repr(build)) / "sample")


@functools.cache
def _furnished(names: tuple[str, ...]) -> Path:
    shape, directory = shapes.combined(names), _directory(" ".join(names))
    built = _sample(shape.build or sample.build)
    github = _github(directory, lambda: datetime.now(UTC))
    furnish.repository(github, shape, built)
    railway = _railway(directory, lambda: datetime.now(UTC))
    try:
        targets = {target.key: DATABASE.format(target.key) for target in shape.targets("")}
        furnish.project(railway, shape, github.heads(), targets)
    finally:
        railway.stop()
    return directory


@functools.cache
def _directory(what: str) -> Path:
    """A directory of its own for `what`, until the process ends."""
    directory = Path(tempfile.mkdtemp(prefix="portal-journeys-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return directory


@functools.cache
def _template(build: Callable[[Path], sample.Sample], alembic: str) -> str:
    """A database where main's migrations have run, made once and copied for every journey.

    Staging begins there too: it has not run the release's migrations yet.
    """
    built = _sample(build)
    url = databases.create(f"{_admin()}/postgres", f"target_template_{uuid4().hex[:8]}")
    if alembic:
        databases.bring_to_branch_head(url, built.path, built.branches["main"], alembic)
    return url.rsplit("/", 1)[1]


def _admin() -> str:
    values = settings.DATABASES["default"]
    return f"postgresql://{values['USER']}:{values['PASSWORD']}@{values['HOST']}:{values['PORT']}"


_spare: dict[str, list[tuple[str, tuple[object, ...]]]] = {}


def create_database(
    kind: str, shape: shapes.Shape = shapes.PLAIN, alembic: str | None = None
) -> tuple[str, tuple[object, ...]]:
    """A database of its own for the target `kind`, at main's head of `alembic`: its URL, and
    what tells of a change.
    """
    template = _template(
        shape.build or sample.build, alembic or shape.settings.get("alembic", sample.ALEMBIC)
    )
    if _spare.get(f"{kind} {template}"):
        return _spare[f"{kind} {template}"].pop()
    name = f"target_{kind}_{uuid4().hex[:8]}"
    with psycopg.connect(f"{_admin()}/postgres", autocommit=True) as connection:
        copy = sql.SQL("create database {} template {}").format(
            sql.Identifier(name), sql.Identifier(template)
        )
        connection.execute(copy)
        return f"{_admin()}/{name}", (template, *_written(connection, name))


def drop_database(kind: str, url: str, written: tuple[object, ...]) -> None:
    """Removes the database, unless nobody wrote to it: then the next journey gets it."""
    name, (template, *before) = url.rsplit("/", 1)[1], written
    with psycopg.connect(f"{_admin()}/postgres", autocommit=True) as connection:
        # Whoever is connected has told what he wrote when he is gone.
        connection.execute(
            "select pg_terminate_backend(pid, 10000) from pg_stat_activity where datname = %s",
            [name],
        )
        if _written(connection, name) == tuple(before):
            _spare.setdefault(f"{kind} {template}", []).append((url, written))
        else:
            connection.execute(
                sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
            )


def _written(connection: psycopg.Connection, name: str) -> tuple[object, ...]:
    """Rows that were ever written in the database, those of its catalogues too, and how it is
    set up.
    """
    asked = """
        select s.tup_inserted, s.tup_updated, s.tup_deleted, d.datallowconn, d.datconnlimit,
               (select count(*) from pg_db_role_setting where setdatabase = d.oid)
        from pg_database d left join pg_stat_database s on s.datid = d.oid where d.datname = %s"""
    return tuple(connection.execute(asked, [name]).fetchone() or ())
