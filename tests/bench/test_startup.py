"""What `make run` weighs is counted by part, and nothing of it is left behind."""

import os
import subprocess
import sys

from tests.bench.startup import family, pss, weigh

# A process that starts one of its own, as `manage.py run` starts the stand-ins.
PARENT = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()', *sys.argv[1:]])"


def test_the_stand_ins_are_weighed_apart():
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, "sandbox"], stdin=subprocess.PIPE, stdout=-1
    ) as process:
        alone = weigh(process.pid)
        process.communicate()

    assert alone.sandbox > 0 and alone.portal == alone.database == 0


def test_everything_else_is_the_portals():
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=-1
    ) as process:
        found = weigh(process.pid)
        process.communicate()

    assert found.portal == found.counted > 0 and found.sandbox == 0


def test_a_process_that_is_gone_weighs_nothing():
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()

    assert pss(process.pid) == 0 and family(process.pid) == []
    assert pss(os.getpid()) > 1
