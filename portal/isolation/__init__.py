"""The one door for code of a repository: what the kernel lets it touch before any of it is loaded.

`door` says what a confined process may use; `confine.enter` applies it in the child;
`broker.Broker` connects it to the one database, from outside. Everything that executes files of a
repository goes through here: see docs/security.md. Standard library only, for the child loads this
package by its path.
"""

import ctypes
import os
import platform
import secrets
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

from .confine import FIRST_UID, UIDS, Door, capabilities
from .system_calls import known

ABI = 6  # of Landlock, since Linux 6.12: scopes for signals and sockets
MB = 1 << 20
_LANDLOCK_CREATE, _VERSION = 444, 1
_SET_IDS = 0b11 << 6  # CAP_SETGID, CAP_SETUID
_HERE = Path(__file__).resolve().parent
# What programs need of the machine; nothing of it is the portal's or says who uses the machine.
_SYSTEM = (
    "/lib",
    "/lib32",
    "/lib64",
    "/bin",
    "/sbin",
    "/usr/lib",
    "/usr/lib32",
    "/usr/lib64",
    "/usr/libexec",
    "/usr/bin",
    "/usr/sbin",
    "/usr/share",
    "/usr/include",
    "/usr/local/lib",
    "/usr/local/lib64",
    "/usr/local/bin",
    "/usr/local/include",
    "/usr/local/share",
    "/nix/store",
    "/sys/devices/system/cpu",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/filesystems",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/ld-musl-x86_64.path",
    "/etc/localtime",
    "/etc/timezone",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/ssl/cert.pem",
    "/etc/pki/tls/certs",
    "/etc/pki/ca-trust/extracted",
    "/etc/ca-certificates",
    "/etc/resolv.conf",
    "/run/systemd/resolve/stub-resolv.conf",
    "/run/systemd/resolve/resolv.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/etc/nsswitch.conf",
    "/etc/passwd",
    "/etc/group",
    "/etc/services",
    "/etc/protocols",
    "/etc/mime.types",
    "/etc/os-release",
    "/etc/debian_version",
    "/etc/alternatives",
    "/etc/locale.alias",
    "/etc/pip.conf",
    "/etc/uv",
)


class Size(NamedTuple):
    """How large a tree of processes may become: in number, bytes of memory, bytes of one file."""

    processes: int = 32
    memory: int = 1024 * MB
    file_size: int = 256 * MB


USUAL = Size()
SMALL = Size(processes=8, memory=512 * MB)
LARGE = Size(processes=256, memory=4096 * MB, file_size=1024 * MB)


@cache
def why_not() -> str:
    """Return why code cannot be isolated on this machine, as one sentence; "" where it can."""
    if os.environ.get("PORTAL_ISOLATION", "").lower() == "off":
        return "PORTAL_ISOLATION=off switches it off."
    if sys.platform != "linux" or not known():
        here = f"{platform.system()} on {platform.machine()}"
        return f"It needs Linux on x86_64 or aarch64; this is {here}."
    abi = ctypes.CDLL(None).syscall(_LANDLOCK_CREATE, None, 0, _VERSION)
    if abi < ABI:
        offers = f"offers {f'Landlock {abi}' if abi > 0 else 'no Landlock'}"
        needed = "Linux 6.12 or newer with Landlock is needed."
        return f"The kernel ({platform.release()}) {offers}; {needed}"
    if os.geteuid() == 0 and capabilities() & _SET_IDS != _SET_IDS:
        why = "The portal runs as root without the right to become another user"
        return f"{why}; run it as an ordinary user."
    return ""


def door(
    work: Path,
    *,
    writes: bool = True,
    readable: Iterable[Path] = (),
    writable: Iterable[Path] = (),
    hosts: Sequence[tuple[str, int]] = (),
    packages: bool = False,
    size: Size = USUAL,
) -> Door | None:
    """Return what a process that executes code of a repository may use, for `confine.enter`; None
    where `why_not`.

    `work` is its own tree, where it `writes` or only reads; `hosts`: the database, as hosts (or
    socket directories) and ports; `packages`: any public address besides.
    """
    if why_not():
        return None
    own = [work.resolve(), *(path.resolve() for path in writable)]
    seen = [*_interpreter(), *(path.resolve() for path in readable), *([] if writes else own[:1])]
    as_root = os.geteuid() == 0
    return {
        "readable": [*map(str, seen)],
        "writable": [*map(str, own if writes else own[1:])],
        "owned": [*map(str, own)] if as_root else [],
        "network": "packages" if packages else "database" if hosts else "",
        "hosts": [*hosts, *(_package_hosts() if packages else ())],
        "broker": bool(packages or hosts),
        "uid": FIRST_UID + secrets.randbelow(UIDS) if as_root else os.geteuid(),
        "reachable": all(map(_reachable, [*own, *seen])) if as_root else True,
        "memory": size.memory,
        "disk": 8 * size.file_size,
        "limits": {
            "CORE": 0,
            "AS": max(4 * size.memory, 4096 * MB),
            "FSIZE": size.file_size,
            "NOFILE": 512,
            "MEMLOCK": 0,
            "NPROC": size.processes if as_root else _running() + size.processes,
            "MSGQUEUE": 0,
            "NICE": 0,
            "RTPRIO": 0,
            "SIGPENDING": 256,
        },
    }


def server_door(directory: Path, programs: Path) -> Door | None:
    """Return what a server that executes SQL of a repository may use, for `confine.serve`: to write
    in `directory`, and to run what lies in `programs`, by the loader. None where `why_not`.
    """
    if why_not():
        return None
    loaders = [path for place in ("/lib64", "/lib") for path in Path(place).glob("ld-*.so*")]
    limits = {"CORE": 0}
    if os.geteuid() != 0:
        limits["NPROC"] = _running() + 200
    return {
        "readable": [*map(str, _interpreter())],
        "writable": [str(directory.resolve())],
        "runs": [str(path.resolve()) for path in (programs, *loaders)],
        "limits": limits,
    }


def _interpreter() -> list[Path]:
    """Our interpreter, its library and packages, and the system's; never the portal's own files."""
    root = _HERE.parent.parent
    kept_out = [root, Path(os.environ.get("PORTAL_VAR_DIR", root / "var")).resolve()]
    own = str(Path(sys.executable).resolve().parent.parent)
    places = [*_SYSTEM, sys.prefix, sys.base_prefix, own]
    found_paths = [path for place in places for path in _without(Path(place).resolve(), kept_out)]
    ours = root / "environments/schema/run/alembic_env"
    return [*dict.fromkeys(path for path in found_paths if path.exists()), ours]


def _without(place: Path, kept_out: Sequence[Path]) -> list[Path]:
    """Return `place`, or, where something to be kept out lies within, all that lies beside that."""
    if place != Path(sys.prefix) and any(place.is_relative_to(excluded) for excluded in kept_out):
        return []
    if not any(excluded.is_relative_to(place) for excluded in kept_out):
        return [place]
    return [inner for below in sorted(place.iterdir()) for inner in _without(below, kept_out)]


def _reachable(path: Path) -> bool:
    return all(parent.stat().st_mode & 0o001 for parent in path.parents)


def _running() -> int:
    """Return how many threads our user runs now, for the kernel counts the child's with them."""
    count = 0
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if process.stat().st_uid == os.geteuid():
                count += len(os.listdir(process / "task"))
    return count


def _package_hosts() -> list[tuple[str, int]]:
    """Package indexes beside the public ones: `host` or `host:port` in PORTAL_PACKAGE_HOSTS."""
    hosts = []
    for entry in os.environ.get("PORTAL_PACKAGE_HOSTS", "").replace(",", " ").split():
        host, _, port = entry.partition(":")
        hosts += [(host, int(port))] if port else [(host, 443), (host, 80)]
    return hosts
