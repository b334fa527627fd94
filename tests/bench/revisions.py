"""What reading revisions costs: `python -m tests.bench.revisions [5000]`, ratios within one run.

Promised: new revisions between two commits in at most 2 × the time of `git diff --name-only` alone;
all heads at a commit at least 10 × faster than Alembic's ScriptDirectory over a checkout. The first
is wall-clock time, best of many, for both are over in milliseconds; the second the median of rounds
that last as long for both. What the second costs in processor time, with that of the git processes
that work for us, is printed too.
"""

import gc
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory

from environments.git.repository import Mirror
from environments.schema.history import reader as reading
from tests.environments.schema.history.histories import repository, source

Times = dict[str, float]  # milliseconds by name
AS_LONG = 10  # readings of ours to one of theirs
BODY = """op.create_table(
        "signals_{n}",
        sa.Column("id", sa.BigInteger(), primary_key=True),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("now()")),
    )
    op.create_index("ix_signals_{n}_name", "signals_{n}", ["name"])"""


def long_history(where: Path, revisions: int, new: int = 3) -> tuple[Mirror, dict[str, str]]:
    """A line of `revisions` files at tag c0, `new` more at c1; also answers the files at c1."""
    files = {
        "alembic.ini": "[alembic]\nscript_location = %(here)s/migrations\n",
        "migrations/env.py": "",
    }
    later: dict[str, str] = {}
    for n in range(revisions + new):
        down = f"{n - 1:012x}" if n else None
        text = source(
            f"{n:012x}", down, body=BODY.format(n=n), back=f'op.drop_table("signals_{n}")'
        )
        (files if n < revisions else later)[f"migrations/versions/{n:012x}_change.py"] = text
    return repository(where, files, later), files | later


def measure(
    ways: dict[str, Callable[[], object]],
    rounds: int,
    *,
    clock: Callable[[], float] = time.perf_counter,
    pick: Callable[[list[float]], float] = min,
) -> Times:
    """The milliseconds of each way by `clock`, taken in turn; `pick` chooses among the rounds."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            gc.collect()  # so that no way pays for what another left behind
            began = clock()
            way()
            taken[name].append((clock() - began) * 1000)
    return {name: pick(values) for name, values in taken.items()}


def processor_seconds() -> float:
    """The processor time of this process, and of the git processes that have ended."""
    return time.process_time() + sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])


def forget() -> None:
    """Empties the caches, so that a measurement is of a first reading."""
    reading._parsed.clear()
    reading._histories.clear()


def main(revisions: int = 5000) -> int:
    """Prints a table; non-zero when a promise is missed."""
    with tempfile.TemporaryDirectory() as name:
        where = Path(name)
        mirror, files = long_history(where / "git", revisions)
        since, until = mirror.commit("c0"), mirror.commit("c1")
        tree = where / "tree"
        for path, text in files.items():
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_text(text)
        git = [
            "git",
            f"--git-dir={mirror.path}",
            "diff",
            "--name-only",
            since,
            until,
            "--",
            "migrations/versions",
        ]

        def new() -> int:
            forget()
            return len(reading.compare(mirror, since, until, "alembic.ini", whole=False).new)

        def heads() -> tuple[str, ...]:
            forget()
            return reading.read(mirror, until, "alembic.ini").heads

        def theirs() -> list[str]:
            config = Config()
            config.set_main_option("script_location", str(tree / "migrations"))
            return ScriptDirectory.from_config(config).get_heads()

        if new() != 3 or list(heads()) != theirs():
            print("the answers are wrong")
            return 1
        floor = measure(
            {
                "git diff --name-only": lambda: subprocess.run(
                    git, capture_output=True, check=True
                ),
                "new": new,
            },
            30,
        )
        # As long as theirs, so that a machine which others slow down for a second slows both.
        ways = {"ours": lambda: [heads() for _ in range(AS_LONG)], "theirs": theirs}
        whole = measure(ways, 5, pick=statistics.median)
        spent = measure(ways, 3, clock=processor_seconds, pick=statistics.median)
        cached = measure({"again": lambda: reading.read(mirror, until, "alembic.ini")}, 5)
        return _report(revisions, floor, whole, spent, cached)


def _report(revisions: int, floor: Times, whole: Times, spent: Times, cached: Times) -> int:
    diff, new = floor["git diff --name-only"], floor["new"]
    ours, ours_spent = whole["ours"] / AS_LONG, spent["ours"] / AS_LONG
    ratio, faster = new / diff, whole["theirs"] / ours
    print(f"{revisions} revisions, milliseconds")
    print(f"  git diff --name-only          {diff:9.1f}")
    print(f"  new revisions, caches empty   {new:9.1f}   {ratio:5.2f} × git diff   (at most 2)")
    print(
        f"  ScriptDirectory heads         {whole['theirs']:9.1f}   processor {spent['theirs']:7.1f}"
    )
    print(f"  heads at a commit             {ours:9.1f}   processor {ours_spent:7.1f}")
    print(f"                                            {faster:5.1f} × faster     (at least 10)")
    print(f"  the same, read again          {cached['again']:9.1f}")
    missed = ratio > 2 or faster < 10
    print("missed" if missed else "held")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 5000))
