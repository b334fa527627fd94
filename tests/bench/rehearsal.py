"""A rehearsal beside what a person would do by hand: dump the schema, load it, `alembic upgrade
head`.

`python -m tests.bench.rehearsal [TABLES [REVISIONS]]` (200 and 20) measures both in the same run,
on the same server binaries, and ends with 1 when the rehearsal (up, down and up again, with its own
server) costs over 3 times as much.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from environments.git.repository import Mirror
from environments.schema.rehearsal.rehearsal import rehearse
from environments.schema.rehearsal.report import PASSED, Request
from portal.server.embedded_postgres import start
from portal.server.postgres_wheel import binaries
from tests.environments.schema.history.histories import repository, source

FACTOR = 3.0
ENV = """
from alembic import context
from sqlalchemy import create_engine
import os
with create_engine(os.environ["DATABASE_URL"]).connect() as connection:
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
"""


def main(tables: int = 200, revisions: int = 20, rounds: int = 2) -> int:
    """Prints the table; returns the exit code."""
    folder = Path(tempfile.mkdtemp(prefix="portal-bench-"))
    server = start(folder / "postgres", fsync=False)
    try:
        mirror = repository(folder / "git", _files(tables, revisions))
        _furnish(server.url, tables)
        runs = [
            (
                _by_hand(mirror, server.url, folder / f"hand{n}"),
                _rehearsed(mirror, server.url, folder),
            )
            for n in range(rounds)
        ]
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    hand, ours = (min(times) for times in zip(*runs, strict=True))
    print(f"{tables} tables, {revisions} revisions         seconds")
    print(f"by hand: dump, load, upgrade       {hand:6.2f}")
    print(
        f"rehearsal: and down, and up again  {ours:6.2f}   {ours / hand:.2f} × (at most"
        f" {FACTOR:.0f} ×)"
    )
    return 0 if ours <= FACTOR * hand else 1


def _files(tables: int, revisions: int) -> dict[str, str]:
    files = {"alembic.ini": "[alembic]\nscript_location = %(here)s/db\n", "db/env.py": ENV}
    files["db/versions/0.py"] = source("aaaa00000000")
    for number in range(1, revisions + 1):
        table = f"table_{number % tables}"
        body = f'op.add_column("{table}", sa.Column("new_{number}", sa.Integer))\n'
        body += f'    op.create_index("ix_new_{number}", "{table}", ["new_{number}"])'
        back = f'op.drop_index("ix_new_{number}")\n    op.drop_column("{table}", "new_{number}")'
        files[f"db/versions/{number}.py"] = source(
            f"aaaa{number:08}", f"aaaa{number - 1:08}", body=body, back=back
        )
    return files


def _furnish(url: str, tables: int) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("create table alembic_version (version_num varchar(32) primary key)")
        connection.execute("insert into alembic_version values ('aaaa00000000')")
        for number in range(tables):
            parent = f"references table_{number // 2}" if number else ""
            connection.execute(
                f"create table table_{number} (id bigint generated always as identity primary key,"
                f" parent bigint {parent}, name text not null default '',"
                " kind varchar(20) check (kind <> ''), at timestamptz default now(),"
                " amount numeric(12, 2), data jsonb)"
            )
            connection.execute(f"create index ix_{number}_name on table_{number} (name, at)")


def _by_hand(mirror: Mirror, url: str, folder: Path) -> float:
    """What a person types, into a new database of the server that runs already."""
    folder.mkdir()
    began = time.monotonic()
    target = urlsplit(url)._replace(path=f"/{folder.name}").geturl()
    psql = [binaries() / "psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"]
    dump = folder / "schema.sql"
    _do([*psql, f"--command=create database {folder.name}", url])
    _do([binaries() / "pg_dump", "--schema-only", f"--file={dump}", url])
    _do([*psql, f"--file={dump}", target])
    _do([*psql, "--command=insert into alembic_version values ('aaaa00000000')", target])
    _do(["git", "clone", "--quiet", mirror.path, folder / "tree"])
    variables = os.environ | {
        "DATABASE_URL": target.replace("postgresql://", "postgresql+psycopg://")
    }
    _do([sys.executable, "-m", "alembic", "upgrade", "head"], cwd=folder / "tree", env=variables)
    return time.monotonic() - began


def _do(command: list[str | Path], **how: object) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **how)  # type: ignore[call-overload]


def _rehearsed(mirror: Mirror, url: str, folder: Path) -> float:
    request = Request(
        mirror.commit("main"), "alembic.ini", url, root=folder / "rehearsals", compare=False
    )
    began = time.monotonic()
    report = rehearse(mirror, request, on_phase=lambda report, phase: None, alive=lambda: True)
    took = time.monotonic() - began
    if report.status != PASSED or report.left:
        raise SystemExit(f"{report.status}: {report.sentence}")
    print("  ".join(f"{name} {seconds:.2f}" for name, seconds in report.phases))
    return took


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
