import os
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest

from portal.server.children import has_ended, spawn, stop_group

SLEEPER = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]
STUBBORN = [
    sys.executable,
    "-c",
    (
        "import signal, subprocess, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "print(subprocess.Popen(['sleep', '60']).pid, flush=True); time.sleep(60)"
    ),
]
# A parent that spawns a child, which forks a child, which forks another: all print their number.
FAMILY = """
import os, sys, time
from portal.server.children import fork, forks_die_with_us, spawn
def tell(): os.write(1, f"{os.getpid()}\\n".encode())
def first(): tell(); fork(second); time.sleep(60)
def second(): tell(); time.sleep(60)
if sys.argv[1:] == ["child"]:
    forks_die_with_us(); tell(); fork(first)
else:
    tell(); spawn([sys.executable, "-c", os.environ["FAMILY"], "child"])
time.sleep(60)
"""


def gone(pids: list[int], seconds: float = 5) -> bool:
    """Whether all of `pids` end (or are but zombies) within `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not any(
            psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie" for pid in pids
        ):
            return True
        time.sleep(0.05)
    return False


@pytest.fixture
def family():
    """The numbers of four generations, oldest first."""
    process = subprocess.Popen(
        [sys.executable, "-c", FAMILY], stdout=subprocess.PIPE, env=os.environ | {"FAMILY": FAMILY}
    )
    pids = [int(process.stdout.readline()) for _ in range(4)]
    yield pids
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.mark.parametrize("killed", [0, 1, 2])
def test_killing_any_process_ends_all_below_it(family, killed):
    os.kill(family[killed], signal.SIGKILL)

    assert gone(family[killed:])
    assert all(psutil.pid_exists(pid) for pid in family[:killed])


def test_a_child_whose_parent_died_before_it_could_ask_ends_at_once():
    code = (
        "from portal.server.children import die_with_parent; die_with_parent(1_000_000);"
        " print('lives')"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (1, "")


def test_it_refuses_to_spawn_from_a_thread_that_may_end():
    errors = []

    def attempt():
        try:
            spawn(SLEEPER)
        except RuntimeError as error:
            errors.append(str(error))

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()

    assert errors == [
        "Start child processes from the main thread: they end when their starting thread does."
    ]


def test_stopping_asks_first():
    process = spawn(SLEEPER, output=subprocess.PIPE)
    process.stdout.readline()

    assert stop_group(process.pid, patience=5)

    assert has_ended(process.pid)
    process.stdout.close()


def test_stopping_ends_a_stubborn_child_and_its_children_by_force():
    process = spawn(STUBBORN, output=subprocess.PIPE)
    grandchild = int(process.stdout.readline())

    assert not stop_group(process.pid, patience=0.3)

    assert gone([process.pid, grandchild])
    process.stdout.close()


def test_a_fork_has_its_own_output_and_answers_signals_again():
    code = (
        "import os, signal, time; from portal.server.children import fork, stop_group\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "reader, writer = os.pipe()\n"
        "pid = fork(lambda: (os.write(1, b'forked'), time.sleep(60)), output=writer)\n"
        "print(os.read(reader, 100), stop_group(pid, patience=5))\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False
    )

    assert done.stdout == "b'forked' True\n"
