"""What a worker and a web server cost while nothing happens, in percent of one core.

Counts the processor's time of each process, so other work on the machine hardly matters. Run by
`make bench`, or with a number of seconds: `python -m tests.bench.idle 120`. Ends with 1 when the
worker costs 1 % or more.
"""

import sys
import tempfile
import time
from pathlib import Path

import psutil

from tests.faults.unwell_portal import LIMIT_SECONDS, Portal, seconds_until

MOST_PERCENT = 1.0
SETTLE_SECONDS = 30.0


def spent(pid: int) -> float:
    """Seconds of a processor that a process and all below it have used, those that ended too."""
    total = 0.0
    for one in (process := psutil.Process(pid), *process.children(recursive=True)):
        used = one.cpu_times()
        total += used.user + used.system + used.children_user + used.children_system
    return total


def percent(pids: dict[str, int], seconds: float) -> dict[str, float]:
    """Percent of one core that each family of processes uses within so many seconds."""
    before, began = {name: spent(pid) for name, pid in pids.items()}, time.monotonic()
    time.sleep(seconds)
    passed = time.monotonic() - began
    return {name: 100 * (spent(pid) - before[name]) / passed for name, pid in pids.items()}


def main(seconds: float = 120.0) -> int:
    """Print one line for each program; 0 if the worker stays below its limit."""
    with tempfile.TemporaryDirectory(prefix="portal-idle-") as folder:
        portal = Portal(Path(folder))
        try:
            assert seconds_until(lambda: portal.states().get("workers") == "ok") < LIMIT_SECONDS
            time.sleep(SETTLE_SECONDS)
            pids = {name: part.pid for name, part in portal.parts.items()}
            found = percent(pids | {"database": portal.server.process.pid}, seconds)
        finally:
            portal.end()
    print(f"Percent of one core within {seconds:.0f} idle seconds")
    for name, one in sorted(found.items()):
        print(f"  {name:10} {one:6.2f}")
    return 1 if found["worker"] >= MOST_PERCENT else 0


if __name__ == "__main__":
    sys.exit(main(*map(float, sys.argv[1:])))
