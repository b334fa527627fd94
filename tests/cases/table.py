"""`make cases`: every case, what is right for it and what the portal made of it; fails on any
difference.

Give names (or parts of them) to look at some only.
"""

import sys
import tempfile
import time
from pathlib import Path

import tests.scratch  # noqa: F401 - starts PostgreSQL, before anything asks for its address
from tests.cases import changes, reading, running
from tests.cases.builder import Case
from tests.cases.looking import Stage, look_read, scratch

ALL = (*reading.CASES, *running.CASES, *changes.CASES, *changes.INSTALLED)


def rows(case: Case, folder: Path) -> list[tuple[str, str, str]]:
    """Return what is looked at, what is right and what was reached."""
    if set(case.expected) == {"read"}:
        return [("read", case.expected["read"], look_read(case, case.build(folder / "git")))]
    with scratch() as url:
        stage = Stage(case, folder, url)
        return [
            (aspect, right, getattr(stage, aspect)()) for aspect, right in case.expected.items()
        ]


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    wanted, differing, began = sys.argv[1:], 0, time.monotonic()
    with tempfile.TemporaryDirectory(prefix="portal-cases-") as folder:
        for number, case in enumerate(ALL):
            if wanted and not any(part in case.name for part in wanted):
                continue
            place = Path(folder) / str(number)
            place.mkdir()
            for aspect, right, reached in rows(case, place):
                ok = right in reached
                differing += not ok
                say(
                    f"{'   ' if ok else '!! '}{case.name:30} {aspect:10} {right[:70]:70} "
                    f" {'' if ok else reached}"
                )
    say(f"{differing} differ, in {time.monotonic() - began:.0f} s")
    raise SystemExit(bool(differing))


if __name__ == "__main__":
    main()
