"""Puts this process behind the door: limits, Landlock, another user, no privileges, seccomp.

Called in the child after it was forked and before anything of a repository is loaded. Every step
raises when the kernel refuses it, and then nothing of the repository may run. Standard library
only.
"""

import array
import ctypes
import os
import resource
import socket
import struct
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypedDict

from .system_calls import program

LANDLOCK_CREATE, LANDLOCK_ADD, LANDLOCK_RESTRICT = 444, 445, 446
PR_SET_DUMPABLE, PR_SET_KEEPCAPS, PR_CAPBSET_DROP = 4, 8, 24
PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 38, 47
SET_MODE_FILTER, FLAG_NEW_LISTENER = 1, 8
SECCOMP = {"x86_64": 317, "aarch64": 277}
READ, READ_FILE_AND_RUN = 0b1101, 0b0101  # EXECUTE, READ_FILE, READ_DIR
WRITE_FILE = 0b0110 | 1 << 14  # WRITE_FILE, READ_FILE, TRUNCATE
# All but devices and sockets: nobody needs to make these.
WRITE = 0b11111111111111111 & ~(1 << 6 | 1 << 9 | 1 << 11 | 1 << 15 | 1 << 16)
HANDLED_FILES = (1 << 16) - 1
HANDLED_NET, SCOPED = 0b11, 0b11  # bind and connect; abstract sockets and signals
FIRST_UID, UIDS = 61184, 4336  # kept free for such uses by systemd as well
DAC_READ_SEARCH = 2


class Door(TypedDict, total=False):
    """What a process that executes code of a repository may use; JSON on its way to a child."""

    readable: list[str]
    writable: list[str]
    owned: list[str]  # directories that are given to `uid`
    runs: list[str]  # of a server: its only programs
    network: str  # "database", "packages", or "" for none
    hosts: list[tuple[str, int]]
    broker: bool
    uid: int
    reachable: bool
    memory: int
    disk: int
    limits: dict[str, int]


_libc = ctypes.CDLL(None, use_errno=True)


def enter(door: Door, *, keep: Iterable[int] = ()) -> int:
    """Confine this process as `door` says; return the descriptor that asks the broker, or -1.

    `keep`: descriptors beside 0, 1 and 2 that stay open. Raise `OSError`.
    """
    _close_others(keep)
    ruleset = _ruleset(door)
    _limit(door["limits"])
    if os.geteuid() == 0:
        _become(door["uid"], reachable=door["reachable"])
    _restrict(ruleset)
    return _filter(sockets=bool(door["network"]), broker=door["broker"])


def serve(door: Door) -> None:
    """Confine a server, as `isolation.server_door` says, before its program is executed.

    It listens, connects nowhere, and executes no other program. Its starter chose its user. Raise
    `OSError`.
    """
    ruleset = _ruleset(door)
    _limit(door["limits"])
    _restrict(ruleset)
    _filter(sockets=True, broker=False, server=True)


def _restrict(ruleset: int) -> None:
    _call(_libc.prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _call(_libc.syscall, LANDLOCK_RESTRICT, ruleset, 0)
    os.close(ruleset)


def nest() -> None:
    """Shut this process off from those around it behind the same door: no signal, no look."""
    attributes = struct.pack("QQQ", 0, 0, SCOPED)
    ruleset = _call(_libc.syscall, LANDLOCK_CREATE, attributes, len(attributes), 0)
    _call(_libc.syscall, LANDLOCK_RESTRICT, ruleset, 0)
    os.close(ruleset)


def give(top: str | Path, uid: int) -> None:
    """Make `uid` the owner, and the group, of `top` and all in it; links are not followed."""
    os.lchown(top, uid, uid)
    for directory, directories, files in os.walk(top):
        for name in (*directories, *files):
            os.lchown(f"{directory}/{name}", uid, uid)


def hand_over(listener: int, through: socket.socket) -> None:
    """Give the broker its descriptor, of which this process keeps nothing."""
    through.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [listener]))])
    os.close(listener)
    through.close()


def capabilities() -> int:
    """Return the effective capabilities of this process, one bit each."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1], 16) for line in lines if line.startswith("CapEff"))


def _call(function: Any, *arguments: object) -> int:
    if (result := function(*arguments)) < 0:
        raise OSError(ctypes.get_errno(), f"{function.__name__}: {os.strerror(ctypes.get_errno())}")
    return int(result)


def _close_others(keep: Iterable[int]) -> None:
    low = 3
    for descriptor in [*sorted(keep), 1 << 20]:
        os.closerange(low, descriptor)
        low = descriptor + 1


def _ruleset(door: Door) -> int:
    runs = door.get("runs", [])  # of a server: the only programs
    attributes = struct.pack("QQQ", HANDLED_FILES, 0 if runs else HANDLED_NET, SCOPED)
    ruleset = _call(_libc.syscall, LANDLOCK_CREATE, attributes, len(attributes), 0)
    no_program = ~1 if runs else -1
    allowed = [(runs, READ), (door["readable"], READ & no_program)]
    for paths, rights in [*allowed, (door["writable"], WRITE & no_program)]:
        for path in paths:
            _allow(ruleset, path, rights)
    for device in ("null", "zero", "full"):
        _allow(ruleset, f"/dev/{device}", WRITE_FILE)
    for device in ("random", "urandom"):
        _allow(ruleset, f"/dev/{device}", READ)
    return ruleset


def _allow(ruleset: int, path: str, rights: int) -> None:
    """Let `path` be used; one that is not there needs no rule."""
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return
    try:
        rights &= (1 << 16) - 1 if Path(path).is_dir() else WRITE_FILE | READ_FILE_AND_RUN
        rule = struct.pack("=Qi", rights, descriptor)
        _call(_libc.syscall, LANDLOCK_ADD, ruleset, 1, rule, 0)
    finally:
        os.close(descriptor)


def _limit(limits: dict[str, int]) -> None:
    for name, value in limits.items():
        number = getattr(resource, f"RLIMIT_{name}")
        hard = resource.getrlimit(number)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(number, (value, value))
    os.umask(0o022)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")  # before the portal, if memory runs out


def _become(uid: int, *, reachable: bool) -> None:
    """Root's child becomes a user who owns nothing, and who can gain nothing.

    Where our interpreter lies in a directory closed to others, as below /root, the child keeps the
    right to read and to pass through directories; Landlock still says which files.
    """
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    kept = 0 if reachable else 1 << DAC_READ_SEARCH
    for capability in range(last + 1):
        if not kept & 1 << capability:
            _libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    os.setgroups([])
    _call(_libc.prctl, PR_SET_KEEPCAPS, 1 if kept else 0, 0, 0, 0)
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    header = struct.pack("Ii", 0x20080522, 0)
    _call(_libc.capset, header, struct.pack("6I", kept, kept, kept, 0, 0, 0))
    if kept:
        _call(_libc.prctl, PR_CAP_AMBIENT, 2, DAC_READ_SEARCH, 0, 0)
    _libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)  # the broker looks at what it asks for


def _filter(*, sockets: bool, broker: bool, server: bool = False) -> int:
    code = program(sockets=sockets, broker=broker, server=server)
    buffer = ctypes.create_string_buffer(code, len(code))
    what = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(buffer))
    flags = FLAG_NEW_LISTENER if broker else 0
    answer = _call(_libc.syscall, SECCOMP[os.uname().machine], SET_MODE_FILTER, flags, what)
    return answer if broker else -1
