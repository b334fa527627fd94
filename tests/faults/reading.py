"""Reads made-up histories and the sample's branches from git, and holds each against Alembic's own
ScriptDirectory.

Run by `make faults`, or with a count: `python -m tests.faults.reading 300`. Heads, bases, parents,
merges, messages, dependencies and the order of upgrades must agree; the histories have branches,
merges, labels, dependencies and several directories. Every file of a last history would leave a
mark if it were executed. Ends with 1 when one does not agree, or a mark was left.
"""

import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from environments.schema.history.reader import compare, outside, read
from tests.environments.schema.history.histories import (
    agrees,
    disagreement,
    made,
    repository,
    source,
)


def executed(where: Path) -> int:
    """How many of ten files that would leave a mark were executed by every way of reading."""
    marks = where / "marks"
    marks.mkdir()
    files = {
        f"db/versions/r{n}.py": (
            source(f"r{n}", f"r{n - 1}" if n else None)
            + f"\nopen({str(marks / str(n))!r}, 'w').close()\n"
        )
        for n in range(10)
    }
    files |= {"db/env.py": f"open({str(marks / 'env')!r}, 'w').close()\n"}
    mirror = repository(where / "git", {"README": "x"}, files)
    assert read(mirror, "main", "db").heads == ("r9",)
    assert len(compare(mirror, "c0", "c1", "db").new) == 10
    assert outside(mirror, "c0", "c1", "") != ()
    return len(list(marks.iterdir()))


def sample_disagreements(where: Path) -> dict[str, str]:
    """For each branch of the sample repository what we and Alembic do not agree about, "" for
    nothing.
    """
    import subprocess

    from environments.git.repository import Mirror
    from portal.sandbox import sample

    built = sample.build(where / "sample")
    found = {}
    for branch, commit in built.branches.items():
        tree = where / "trees" / branch.replace("/", "-")
        tree.mkdir(parents=True)
        subprocess.run(
            f"git -C {built.path} archive {commit} | tar -x -C {tree}", shell=True, check=True
        )
        found[branch] = agrees(Mirror(built.path), commit, sample.ALEMBIC, tree)
    return found


def main(count: int = 300) -> int:
    """Prints what was read and agreed upon; 0 when all of it was."""
    started, wrong, seen = time.monotonic(), 0, Counter[str]()
    for seed in range(count):
        with tempfile.TemporaryDirectory() as where:
            seen.update(made(seed).kinds)
            if difference := disagreement(seed, Path(where)):
                wrong += 1
                print(f"  history {seed}: {difference}")
    with tempfile.TemporaryDirectory() as where:
        samples = sample_disagreements(Path(where))
        marks = executed(Path(where))
    for branch, difference in samples.items():
        if difference:
            print(f"  {branch}: {difference}")
    held = sum(not one for one in samples.values())
    print(
        f"{count} made-up histories, {time.monotonic() - started:.0f} s: "
        + ", ".join(f"{number} with {what}" for what, number in sorted(seen.items()))
    )
    print(f"  {count - wrong:5} of {count} read as Alembic reads them (all of them)")
    print(
        f"  {held:5} of {len(samples)} branches of the sample read as Alembic reads them (all of"
        " them)"
    )
    print(f"  {marks:5} of 11 files executed by reading (none)")
    return 1 if wrong or marks or held < len(samples) else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
