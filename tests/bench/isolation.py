"""What isolation costs: rendering and running the same migrations with it and without, turn by
turn.

    python -m tests.bench.isolation [ROUNDS]

Fails above 1.2 times. The first round of each is not counted.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from environments.schema.history.changes import in_order
from environments.schema.history.reader import read
from environments.schema.plan.render import make_plan
from environments.schema.run.request import Run
from environments.schema.run.runner import run
from portal import isolation
from portal.sandbox import databases
from portal.server.embedded_postgres import start
from tests.environments.schema.history.histories import repository, source

MOST = 1.2
REVISIONS = 10
TABLE = (
    "op.create_table('t{0}', sa.Column('id', sa.Integer, primary_key=True), sa.Column('name',"
    " sa.Text))"
)


def compare(what: str, rounds: int, do: Callable[[], None]) -> float:
    """Seconds of `do`, isolated and not, in turns; prints and returns how many times as long the
    former takes.
    """
    took: dict[str, list[float]] = {"": [], "off": []}
    for _ in range(rounds + 1):
        for how in took:
            os.environ["PORTAL_ISOLATION"] = how
            isolation.why_not.cache_clear()
            began = time.perf_counter()
            do()
            took[how].append(time.perf_counter() - began)
    isolated, bare = (statistics.median(times[1:]) for times in took.values())
    print(
        f"{what}: {isolated * 1000:.0f} ms isolated, {bare * 1000:.0f} ms without,"
        f" {isolated / bare:.2f} times"
    )
    return isolated / bare


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    if why := isolation.why_not():
        raise SystemExit(f"Nothing can be isolated here: {why}")
    with tempfile.TemporaryDirectory(prefix="bench-isolation-") as name:
        place = Path(name)
        ids = [None, *(f"r{number:03}" for number in range(REVISIONS))]
        files = {
            f"db/versions/{n}.py": source(ids[n + 1], ids[n], body=TABLE.format(n))
            for n in range(REVISIONS)
        }
        mirror = repository(
            place / "git", files | {"alembic.ini": "[alembic]\nscript_location = %(here)s/db\n"}
        )
        commit, history = mirror.commit("main"), read(mirror, mirror.commit("main"), "alembic.ini")
        server = start(place / "server", fsync=False)
        try:
            worst = max(
                compare("Rendering", rounds, lambda: _render(mirror, commit, history)),
                compare("Running", rounds, lambda: _run(mirror, commit, server.url)),
            )
        finally:
            server.stop()
    if worst > MOST:
        raise SystemExit(f"Isolation costs {worst:.2f} times as much; at most {MOST} is promised.")


def _render(mirror, commit: str, history) -> None:
    made = make_plan(mirror, commit, history, in_order(history.revisions.values()))
    assert len(made.steps) == REVISIONS and not any(step.upgrade.kind for step in made.steps)


def _run(mirror, commit: str, admin: str) -> None:
    url = databases.create(admin, "bench_isolation")
    try:
        outcome = run(
            mirror, Run(commit, "alembic.ini", url), on_lines=lambda lines: None, alive=lambda: True
        )
        assert outcome.status == "succeeded" and len(outcome.applied) == REVISIONS, outcome
    finally:
        databases.drop(admin, "bench_isolation")


if __name__ == "__main__":
    main()
