"""Bounds that the kernel does not put on a tree of processes as a whole: memory, and space.

The guard asks a few times a second, and ends the tree when there is an answer. Standard library
only.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from .confine import Door

_PAGE = os.sysconf("SC_PAGE_SIZE")
MAX_FILES = 400_000
MB = 1 << 20


class Bounds:
    """The bounds of one door, from when its process starts."""

    def __init__(self, door: Door) -> None:
        self.memory, self.disk, self.writable = door["memory"], door["disk"], door["writable"]
        self._free = [self._space(path) for path in self.writable]

    def exceeded(self) -> str:
        """Return what became too much, as a sentence; "" while nothing has."""
        if sum(map(_resident, below(os.getpid()))) > self.memory:
            return f"It was stopped: it used more than {self.memory // MB} MB of memory."
        for path, (space, files) in zip(self.writable, self._free, strict=True):
            now, left = self._space(path)
            # Only a look at all files says whose they are; it is taken when so much is gone.
            if (space - now > self.disk or files - left > MAX_FILES) and self._filled() > self.disk:
                filled = f"it filled more than {self.disk // MB} MB"
                return f"It was stopped: {filled}, or made too many files."
        return ""

    def _space(self, path: str) -> tuple[int, int]:
        space = os.statvfs(path)
        return space.f_bfree * space.f_frsize, space.f_ffree

    def _filled(self) -> int:
        """Bytes of files below our directories and of open nameless ones; too many count as all."""
        count = size = 0
        for path in self.writable:
            for directory, _, names in os.walk(path):
                for name in names:
                    with suppress(OSError):
                        size += os.lstat(f"{directory}/{name}").st_blocks * 512
                        count += 1
                count += 1
        for pid in below(os.getpid()):
            with suppress(OSError):
                for descriptor in os.scandir(f"/proc/{pid}/fd"):
                    with suppress(OSError):
                        info = os.stat(descriptor.path)
                        size += info.st_blocks * 512 if info.st_nlink == 0 else 0
        return size if count <= MAX_FILES else self.disk + 1


def below(pid: int) -> Iterator[int]:
    """Yield every process that descends from `pid`, as far as they can be seen in one look."""
    with suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            for child in Path(f"/proc/{pid}/task/{task}/children").read_text().split():
                yield int(child)
                yield from below(int(child))


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0
