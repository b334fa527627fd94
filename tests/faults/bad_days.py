"""Every bad day × every page × every sentence, held against the world in the stand-ins.

Run by `make faults`, or `python -m tests.faults.bad_days [-v] [WORDS OF A DAY …]`. Each day drives
portal and stand-ins into it; then every sentence on board, release, environments and audit that
makes a claim is compared with git, Railway and the databases as the stand-ins have them, and the
first button with the first right act. Ends with 1 when one is untrue.
"""

import sys
import time

from tests.scratch import scratch_database


def main(*words: str) -> int:
    """Print the table; 0 when nothing is untrue. `words`: only days whose names hold one."""
    from django.test.utils import setup_test_environment

    from tests.faults.days.look import go_through
    from tests.faults.days.registry import DAYS

    setup_test_environment(debug=False)
    began, wanted = time.monotonic(), [word for word in words if word != "-v"]
    days = [one for one in DAYS if not wanted or any(word in one.name for word in wanted)]
    looks = []
    print(f"{'day':<58} {'page':<13} {'sentences':>9} {'held':>5} {'untrue':>6}  first button")
    with scratch_database():
        for one in days:
            for looked in go_through(one):
                looks.append(looked)
                numbers = f"{looked.sentences:>9} {len(looked.held):>5} {len(looked.untrue):>6}"
                print(f"{looked.day:<58} {looked.page:<13} {numbers}  {looked.first}", flush=True)
                shown = looked.held if "-v" in words else looked.untrue
                for verdict in shown:
                    print(f"      {'✕' if verdict.untrue else '✓'} {verdict.line[:150]}")
                    if verdict.untrue:
                        print(f"        {verdict.untrue}", flush=True)
    untrue = sum(len(one.untrue) for one in looks)
    sentences, held = sum(one.sentences for one in looks), sum(len(one.held) for one in looks)
    print(
        f"{len(days)} days, {len(looks)} pages, {sentences} sentences, {held} claims held against"
    )
    print(f"the world: {untrue} untrue. {time.monotonic() - began:.0f} s")
    return 1 if untrue or not days else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
