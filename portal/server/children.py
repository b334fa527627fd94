"""Child processes that never outlive their parent, and that stop as a whole.

Linux ends a process when its parent dies if it asked for that (prctl(2), PR_SET_PDEATHSIG). Three
traps: a fork clears the setting, so every fork asks again; a change of user clears it, so ask after
that; and "parent" means the *thread* that forked, so children are started from the main thread.
Elsewhere only the polite ways work.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

PR_SET_PDEATHSIG = 1
_prctl = getattr(ctypes.CDLL(None), "prctl", None)
_forking_pid = 0
_hooked = False


def die_with_parent(parent: int, number: int = signal.SIGKILL) -> None:
    """Have this fresh child be sent `number` when process `parent` dies; end now if it has died."""
    if _prctl:
        _prctl(PR_SET_PDEATHSIG, int(number), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def forks_die_with_us() -> None:
    """Have every fork of this process, and every fork of those, die with who forked it."""
    global _hooked
    if not _hooked:
        os.register_at_fork(before=_remember, after_in_child=_ask_again)
    _hooked = True


def _remember() -> None:
    global _forking_pid
    _forking_pid = os.getpid()


def _ask_again() -> None:
    die_with_parent(_forking_pid)


def spawn(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    output: int | IO[bytes] | None = None,
    pass_fds: Sequence[int] = (),
    death_signal: int = signal.SIGKILL,
    setup: Callable[[], None] | None = None,
) -> subprocess.Popen[bytes]:
    """Start `command` in a session and process group of its own, to die with this process.

    `output` takes both streams (None: ours). `setup` runs in the child before the program does, and
    may change user. Raise `RuntimeError` outside the main thread: the child would die with the
    thread.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError(
            "Start child processes from the main thread: they end when their starting thread does."
        )
    parent = os.getpid()

    def begin() -> None:
        if setup:
            setup()
        die_with_parent(parent, death_signal)

    return subprocess.Popen(
        [str(part) for part in command],
        env=env,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT if output == subprocess.PIPE else output,
        pass_fds=pass_fds,
        start_new_session=True,
        preexec_fn=begin,
    )


def fork(run: Callable[[], object], *, output: int | None = None) -> int:
    """Run `run` in a forked child that leads its own session; return its number. Call it without
    threads.

    Quick and small beside `spawn`, for what is loaded is shared. The child dies with us if
    `forks_die_with_us` was called; what stops us (SIGTERM and its like) means the usual to it
    again. `output` takes both its streams.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    if pid := os.fork():
        return pid
    code = 1
    try:
        os.setsid()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        if output is not None:
            os.dup2(output, 1)
            os.dup2(output, 2)
        run()
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else bool(error.code)
    except BaseException:  # noqa: BLE001 - nothing above us may run twice
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def stop_group(pid: int, *, patience: float, politely: int = signal.SIGTERM) -> bool:
    """Ask the child `pid`, which leads its group, to end within `patience` seconds; return whether
    it did. Then end the group by force, before the child is reaped: its number stays its own.
    """
    if patience > 0:
        with suppress(ProcessLookupError):
            os.kill(pid, politely)
    deadline = time.monotonic() + patience
    while not (ended := has_ended(pid)) and time.monotonic() < deadline:
        time.sleep(0.02)
    for end in (os.killpg, os.kill):  # the second for a child killed before it had made its group
        with suppress(ProcessLookupError):
            end(pid, signal.SIGKILL)
    with suppress(ChildProcessError):
        os.waitpid(pid, 0)
    return ended


def has_ended(pid: int) -> bool:
    """Return whether the child `pid` is dead, without reaping it."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:  # reaped already
        return True
