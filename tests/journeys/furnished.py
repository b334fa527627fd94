"""The outside world at the beginning of a journey: furnished once by each test process, then copied.

The sample's history takes a hundred runs of git and never differs, so only what a journey does with it is its own.
"""

import atexit
import functools
import shutil
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import psycopg
from django.conf import settings
from psycopg import sql

from portal.sandbox import databases, sample
from portal.sandbox.github import GitHubStandIn
from portal.sandbox.railway import RailwayStandIn

KINDS = {"staging": "staging", "production": "main"}  # environment: the branch that it follows
DATABASE = "postgresql://nobody@nowhere/{}"  # where each environment's own database is written into the copy


def stand_ins(
    directory: Path, targets: dict[str, str], clock: Callable[[], datetime]
) -> tuple[GitHubStandIn, RailwayStandIn]:
    """GitHub with the sample, and Railway with it live in both environments, in `directory`.

    `targets` are the environments' databases; `clock` tells both what time it is.
    """
    shutil.copytree(_furnished() / "github", directory / "github")
    (directory / "railway").mkdir()
    text = (_furnished() / "railway" / "railway.json").read_text()
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
def _sample() -> sample.Sample:
    return sample.build(_directory() / "sample")


@functools.cache
def _furnished() -> Path:
    directory, built = _directory(), _sample()
    github = _github(directory, lambda: datetime.now(UTC))
    sample.populate(github, built)
    railway = _railway(directory, lambda: datetime.now(UTC))
    try:
        _furnish(railway, built)
    finally:
        railway.stop()
    return directory


def _furnish(railway: RailwayStandIn, built: sample.Sample) -> None:
    for kind in KINDS:
        railway.add_environment(kind)
    for service in ("backend", "frontend"):
        railway.add_service(service, service)
    for kind, branch in KINDS.items():
        railway.set_variable(kind, "backend", "DATABASE_URL", DATABASE.format(kind))
        for service in ("backend", "frontend"):
            railway.set_trigger(service, kind, branch)
            railway.deploy(service, kind, built.branches[branch], live=True)


@functools.cache
def _directory() -> Path:
    directory = Path(tempfile.mkdtemp(prefix="portal-journeys-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return directory


@functools.cache
def _template() -> str:
    """A database where main's migrations have run, made once and copied for every journey.

    Staging begins there too: it has not run the release's migrations yet.
    """
    built = _sample()
    url = databases.create(f"{_admin()}/postgres", f"target_template_{uuid4().hex[:8]}")
    databases.bring_to_branch_head(url, built.path, built.branches["main"], sample.ALEMBIC)
    return url.rsplit("/", 1)[1]


def _admin() -> str:
    values = settings.DATABASES["default"]
    return f"postgresql://{values['USER']}:{values['PASSWORD']}@{values['HOST']}:{values['PORT']}"


_spare: dict[str, list[tuple[str, tuple[object, ...]]]] = {}


def create_database(kind: str) -> tuple[str, tuple[object, ...]]:
    """A database of its own for the environment `kind`, at main's head: its URL, and what tells that it was changed."""
    if _spare.get(kind):
        return _spare[kind].pop()
    name = f"target_{kind}_{uuid4().hex[:8]}"
    with psycopg.connect(f"{_admin()}/postgres", autocommit=True) as connection:
        copy = sql.SQL("create database {} template {}").format(sql.Identifier(name), sql.Identifier(_template()))
        connection.execute(copy)
        return f"{_admin()}/{name}", _written(connection, name)


def drop_database(kind: str, url: str, written: tuple[object, ...]) -> None:
    """Removes the database, unless nobody wrote to it: then the next journey gets it."""
    name = url.rsplit("/", 1)[1]
    with psycopg.connect(f"{_admin()}/postgres", autocommit=True) as connection:
        # Whoever is connected has told what he wrote when he is gone.
        connection.execute("select pg_terminate_backend(pid, 10000) from pg_stat_activity where datname = %s", [name])
        if _written(connection, name) == written:
            _spare.setdefault(kind, []).append((url, written))
        else:
            connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))


def _written(connection: psycopg.Connection, name: str) -> tuple[object, ...]:
    """Rows that were ever written in the database, those of its catalogues too, and how it is set up."""
    asked = """
        select s.tup_inserted, s.tup_updated, s.tup_deleted, d.datallowconn, d.datconnlimit,
               (select count(*) from pg_db_role_setting where setdatabase = d.oid)
        from pg_database d left join pg_stat_database s on s.datid = d.oid where d.datname = %s"""
    return tuple(connection.execute(asked, [name]).fetchone() or ())
