"""Who the processes of the embedded PostgreSQL run as, and what they reach."""

import os
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

from portal import isolation
from portal.isolation import confine
from portal.server.children import spawn
from portal.server.private_files import let_through

CLONE_NEWUSER = 0x10000000
NOBODY = 65534


def demotion(directory: Path) -> Callable[[], None] | None:
    """Return what a child of root does to be another user, for PostgreSQL refuses to run as root.

    Best a user namespace in which root's files are its own. Where that is refused, or the data is
    an ordinary user's already, the child becomes the directory's owner.
    """
    if os.geteuid() != 0:
        return None
    owner = directory.stat()
    if owner.st_uid == 0 and _namespaces_work():
        return _enter_namespace
    if owner.st_uid == 0:
        for path in [directory, *directory.rglob("*")]:
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
        owner = directory.stat()
    let_through(directory)
    return partial(_become, owner.st_uid, owner.st_gid)


def _enter_namespace() -> None:
    os.unshare(CLONE_NEWUSER)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text("1000 0 1")
    Path("/proc/self/gid_map").write_text("1000 0 1")


def _become(uid: int, gid: int) -> None:
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def _namespaces_work() -> bool:
    try:
        return spawn(["/bin/true"], setup=_enter_namespace).wait() == 0
    except subprocess.SubprocessError:
        return False


def confined_to(
    directory: Path, binaries: Path, become: Callable[[], None] | None
) -> Callable[[], None] | None:
    """Return what a child does to become its owner and then to shut itself in."""
    door = isolation.server_door(directory, binaries)
    if door is None:
        return become

    def begin() -> None:
        if become:
            become()
        confine.serve(door)

    return begin
