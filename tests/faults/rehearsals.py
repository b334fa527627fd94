"""Kills rehearsals at random points with `kill -9` and looks for what they leave.

`python -m tests.faults.rehearsals [40]`, run by `make faults`. Promised each time: no process of it
lives on, the database it was for is as it was and holds no session of it, and after the next
rehearsal nothing of it is on disk. Ends with 1 when one of these did not hold.
"""

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg

from environments.git.repository import Mirror
from environments.schema.rehearsal.rehearsal import rehearse
from environments.schema.rehearsal.report import PASSED, Request
from portal.server.embedded_postgres import start
from tests.environments.schema.history.histories import repository, source

KILLS = 40
LONGEST_S = 4.0
GONE_WITHIN_S = 10.0
SLOW = source(
    "aaaa00000002",
    "aaaa00000001",
    body='op.execute("create index ix on one (n)"); op.execute("select pg_sleep(0.3)")',
    back='op.execute("drop index ix")',
)
FIRST = source(
    "aaaa00000001",
    body='op.execute("create table one (n int)")',
    back='op.execute("drop table one")',
)


def main(kills: int = KILLS) -> int:
    """Prints the table; returns the exit code."""
    folder = Path(tempfile.mkdtemp(prefix="portal-faults-"))
    server = start(folder / "postgres", fsync=False)
    try:
        found = _kill_many(folder, server.url, kills)
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{kills} rehearsals killed, {found['too late']} of them after their end")
    wrong = 0
    for what in ("processes left", "database changed", "sessions left", "on disk after the next"):
        print(f"  {what:24} {found[what]:3}   (promised 0)")
        wrong += found[what]
    return 1 if wrong else 0


def _kill_many(folder: Path, url: str, kills: int) -> dict[str, int]:
    ini = "[alembic]\nscript_location = %(here)s/db\n"
    files = {
        "alembic.ini": ini,
        "db/env.py": "",
        "db/versions/1.py": FIRST,
        "db/versions/2.py": SLOW,
    }
    mirror, root = repository(folder / "git", files), folder / "rehearsals"
    with psycopg.connect(url, autocommit=True) as opened:
        opened.execute(
            "create table one (n int); create table alembic_version (version_num varchar(32))"
        )
        opened.execute(
            "insert into alembic_version values ('aaaa00000001'); insert into one values (7)"
        )
    found = dict.fromkeys(
        (
            "too late",
            "processes left",
            "database changed",
            "sessions left",
            "on disk after the next",
        ),
        0,
    )
    before, choose = _state(url), random.Random(kills)
    for _ in range(kills):
        child = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.faults.rehearsals",
                "child",
                str(folder / "git"),
                str(root),
            ],
            env=os.environ | {"REHEARSED": url},
            stdout=subprocess.DEVNULL,
        )
        time.sleep(choose.uniform(0.3, LONGEST_S))
        found["too late"] += child.poll() is not None
        child.kill()
        child.wait()
        found["processes left"] += not _in_time(lambda: not _processes(root))
        found["sessions left"] += not _in_time(lambda: not _sessions(url))
        found["database changed"] += _state(url) != before
    if _rehearse(mirror, url, root) != PASSED:
        raise SystemExit("The rehearsal after all the killed ones did not pass.")
    found["on disk after the next"] = len([one for one in root.iterdir() if one.is_dir()])
    return found


def _rehearse(mirror: Mirror, url: str, root: Path) -> str:
    request = Request(mirror.commit("main"), "alembic.ini", url, root=root)
    return rehearse(mirror, request, on_phase=lambda report, phase: None, alive=lambda: True).status


def _in_time(holds) -> bool:
    deadline = time.monotonic() + GONE_WITHIN_S
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _processes(root: Path) -> list[str]:
    """Those that were started in `root` or have it among their arguments."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            where = f"{(process / 'cmdline').read_text()} {os.readlink(process / 'cwd')}"
        except OSError:
            continue
        if str(root) in where:
            found.append(where)
    return found


def _state(url: str) -> list[tuple]:
    with psycopg.connect(url) as opened:
        objects = opened.execute(
            "select oid, relname, relfilenode from pg_class where oid >= 16384 order by 1"
        ).fetchall()
        return [
            *objects,
            *opened.execute("select version_num, n from alembic_version, one").fetchall(),
        ]


def _sessions(url: str) -> int:
    with psycopg.connect(url) as opened:
        row = opened.execute(
            "select count(*) from pg_stat_activity where application_name like 'release-portal%'"
        )
        return int(row.fetchall()[0][0])


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        _rehearse(Mirror(Path(sys.argv[2])), os.environ["REHEARSED"], Path(sys.argv[3]))
    else:
        sys.exit(main(*map(int, sys.argv[1:])))
