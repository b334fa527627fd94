"""Runs migrations in pairs, and kills them at random moments: what was reported is held against the
databases.

Run by `make faults`, or with counts: `python -m tests.faults.migrations 50 100`. Ends with 1 when a
pair hung, erred or ran twice, when a run was called successful with the database elsewhere, or when
an invalid index was not named.
"""

import os
import random
import secrets
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import psycopg
from psycopg import sql

from environments.schema.run.command import APPLICATION_NAME, Command
from environments.schema.run.failure import next_commands
from environments.schema.run.request import Outcome, Run
from environments.schema.run.runner import run
from portal.sandbox.sample_files import ALEMBIC_INI, ENV_PY
from tests.environments.schema.history.histories import repository, source

PATIENCE_SECONDS = 120.0
LIFE_SECONDS = (0.1, 3.5)
AIMS = ("worker", "worker", "guard", "backend", "backend", "lock")
BLOCK = (
    "with op.get_context().autocommit_block():\n        op.execute('create index concurrently"
    " ix_{0} on one (id)')"
)
FILES = {
    "backend/alembic.ini": ALEMBIC_INI,
    "backend/alembic/env.py": ENV_PY,
    **{
        f"backend/alembic/versions/{id}.py": source(id, down, body=body)
        for id, down, body in (
            ("a1", None, "op.execute('create table one as select generate_series(1, 60000) id')"),
            ("a2", "a1", BLOCK.format(1)),
            (
                "a3",
                "a2",
                "op.execute('update one set id = id + 1')\n    op.execute('select pg_sleep(0.3)')",
            ),
            ("a4", "a3", BLOCK.format(2)),
            ("a5", "a4", "op.execute('create table two (id int)')"),
        )
    },
}
HEAD = ("a5",)
COMMAND = Command(f"cd backend && {sys.executable} -m alembic upgrade head")


@contextmanager
def empty_database() -> Iterator[str]:
    """The address of a new database on the server of DATABASE_URL, dropped afterwards."""
    name, server = f"faults_{secrets.token_hex(6)}", os.environ["DATABASE_URL"]
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    try:
        yield urlsplit(server)._replace(path=f"/{name}").geturl()
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(
                sql.SQL("drop database {} with (force)").format(sql.Identifier(name))
            )


def upgraded(mirror, url: str, command: Command | None = None) -> Outcome:
    request = Run(
        mirror.commit("main"),
        "backend/alembic.ini",
        url,
        lock_wait_s=PATIENCE_SECONDS,
        command=command,
    )
    return run(mirror, request, on_lines=lambda lines: None, alive=lambda: True)


def reported(url: str) -> tuple[tuple[str, ...], set[str]]:
    """Revisions and invalid indexes, asked past the code under test."""
    with psycopg.connect(url) as connection:
        there = connection.execute("select to_regclass('alembic_version')").fetchone()
        rows = (
            connection.execute("select version_num from alembic_version")
            if there and there[0]
            else []
        )
        now = tuple(sorted(row[0] for row in rows))
        bad = connection.execute(
            "select indexrelid::regclass::text from pg_index where not indisvalid"
        )
        return now, {row[0] for row in bad}


def pairs(count: int, mirror) -> tuple[Counter[str], float]:
    """Two upgrades of one database at once, `count` times; every fifth pair by the project's
    command.
    """
    seen: Counter[str] = Counter()
    longest = 0.0
    for number in range(count):
        command = COMMAND if number % 5 == 4 else None
        with empty_database() as url:
            outcomes: list[Outcome] = []
            began = time.monotonic()
            threads = [_beside(outcomes, mirror, url, command) for _ in range(2)]
            for thread in threads:
                thread.join(2 * PATIENCE_SECONDS)
            longest = max(longest, time.monotonic() - began)
            seen["hangs"] += any(thread.is_alive() for thread in threads)
            seen["errors"] += sum(outcome.status != "succeeded" for outcome in outcomes)
            seen["not run exactly once"] += sorted(
                len(outcome.applied) for outcome in outcomes
            ) != [0, 5]
            seen["database elsewhere"] += reported(url) != (HEAD, set())
    return seen, longest


def _beside(outcomes: list[Outcome], mirror, url: str, command: Command | None) -> threading.Thread:
    """A run in a thread of its own, begun, which adds its outcome."""
    thread = threading.Thread(
        target=lambda: outcomes.append(upgraded(mirror, url, command)), daemon=True
    )
    thread.start()
    return thread


@dataclass
class Kills:
    """What came of killing runs; `wrong` are broken promises, in words."""

    hits: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    invalid: int = 0
    retried: int = 0
    wrong: list[str] = field(default_factory=list)


def kills(count: int, mirror, seed: int) -> Kills:
    """Kills one thing of a run at a random moment, `count` times, and then goes on from there as
    the page says.
    """
    dice, result = random.Random(seed), Kills()
    for number in range(count):
        command = COMMAND if number % 8 == 7 else None
        with empty_database() as url:
            outcomes: list[Outcome] = []
            with psycopg.connect(url) as old:
                if (
                    number % 2
                ):  # a concurrent build waits for older snapshots, and is killed while it does
                    old.execute("set transaction isolation level repeatable read")
                    old.execute("select 1")
                thread = _beside(outcomes, mirror, url, command)
                time.sleep(dice.uniform(*LIFE_SECONDS))
                result.hits[_hit(thread, dice.choice(AIMS), url)] += 1
                thread.join(PATIENCE_SECONDS)
            if not outcomes:
                result.wrong.append("a run hung")
                continue
            _judge(outcomes[0], url, result)
            _go_on(mirror, outcomes[0], url, result)
    return result


def _hit(thread: threading.Thread, aim: str, url: str) -> str:
    """Strikes as soon as there is what is aimed at."""
    while thread.is_alive():
        if hit := _strike(aim, url):
            return hit
        time.sleep(0.02)
    return "it had ended"


def _strike(aim: str, url: str) -> str:
    """Kills one part of the run at `url`; says which, or "" when there is none."""
    if aim in ("backend", "lock"):
        name = APPLICATION_NAME if aim == "backend" else "release-portal"
        with psycopg.connect(url, autocommit=True) as connection:
            ended = connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname ="
                " current_database() and application_name = %s",
                [name],
            ).fetchall()
        return aim if ended else ""
    for guard in psutil.Process().children():
        with suppress(psutil.Error):
            if "alembic_env/child" not in " ".join(guard.cmdline()):
                continue
            target = guard if aim == "guard" else next(iter(guard.children()), guard)
            target.kill()
            return aim
    return ""


def _judge(outcome: Outcome, url: str, result: Kills) -> None:
    now, invalid = reported(url)
    result.statuses[outcome.status] += 1
    result.invalid += bool(invalid)
    if outcome.status == "succeeded" and now != HEAD:
        result.wrong.append(f"called successful with the database at {now}")
    if outcome.after is not None and outcome.after != now:
        result.wrong.append(f"said to be at {outcome.after}, is at {now}")
    if outcome.after is not None and not invalid <= set(outcome.invalid_indexes):
        result.wrong.append(
            f"invalid indexes {invalid} were not all named: {outcome.invalid_indexes}"
        )
    if any(name not in outcome.sentence for name in outcome.invalid_indexes):
        result.wrong.append(f"an invalid index is not in the sentence: {outcome.sentence}")


def _go_on(mirror, outcome: Outcome, url: str, result: Kills) -> None:
    """Types what the page says and retries; what was made unheard of, in the moment of a kill,
    is looked for.
    """
    now, invalid = reported(url)
    commands = next_commands(
        invalid=sorted(invalid), kept=outcome.kept, table="alembic_version", known=True
    )
    with psycopg.connect(url, autocommit=True) as connection:
        for command in commands:
            if command.command:
                connection.execute(command.command)
        for index, since in (("ix_1", {"a2", "a3", "a4", "a5"}), ("ix_2", {"a4", "a5"})):
            if not since & set(now):
                connection.execute(f"drop index if exists {index}")
    again = upgraded(mirror, url)
    result.retried += 1
    if again.status != "succeeded" or reported(url) != (HEAD, set()):
        result.wrong.append(f"the retry ended as {again.status}: {again.sentence}")


def main(pair_count: int = 50, kill_count: int = 100, seed: int = 20260) -> int:
    """Prints what was seen; 0 when every promise was kept."""
    from tests import scratch  # noqa: F401 - it starts a server where DATABASE_URL names none

    with tempfile.TemporaryDirectory() as folder:
        mirror = repository(Path(folder) / "git", FILES)
        began = time.monotonic()
        seen, longest = pairs(pair_count, mirror)
        print(
            f"{pair_count} pairs of upgrades at once, with concurrent index builds: longest"
            f" {longest:.1f} s"
        )
        for what, number in seen.items():
            print(f"  {number:5}  {what}")
        found = kills(kill_count, mirror, seed)
    print(f"{kill_count} runs killed at random moments (seed {seed})")
    for what, number in [*found.hits.most_common(), *found.statuses.most_common()]:
        print(f"  {number:5}  {what}")
    print(f"  {found.invalid:5}  left an invalid index, each of them named")
    print(
        f"  {found.retried:5}  went on from where the database was; {time.monotonic() - began:.0f}"
        " s in all"
    )
    print(f"  {len(found.wrong):5}  broken promises")
    for line in found.wrong[:10]:
        print(f"         {line}")
    return 1 if any(seen.values()) or found.wrong else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
