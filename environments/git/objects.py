"""Reading objects of a clone by one long-lived git process: files, trees, what two trees share."""

import fcntl
import re
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, NamedTuple, cast

from environments.git.calls import _PIPE_BYTES, MAX_OUTPUT_BYTES, GitError, environment

_WIDE_PIPE_BYTES = 1 << 20  # fewer changes between git and us than with the usual 64 KB


class Found(NamedTuple):
    """One object of the repository; `content` is None when it was larger than asked for."""

    sha: str
    kind: str
    size: int
    content: bytes | None


class Entry(NamedTuple):
    """One line of a directory; `mode`: 100644, 100755, 120000 (link) or 40000 (directory)."""

    name: str
    mode: str
    sha: str


class Objects:
    """One running `git cat-file --batch`: all objects of a repository by one process."""

    def __init__(self, git_dir: Path) -> None:
        self._git_dir = git_dir
        self._process = self._start(subprocess.PIPE)
        self._in = cast(IO[bytes], self._process.stdin)
        self._out = cast(IO[bytes], self._process.stdout)

    def _start(self, stdin: "int | IO[bytes]", *options: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            ["git", f"--git-dir={self._git_dir}", "cat-file", "--batch", *options],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=1 << 18,
            env=environment(),
        )

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()

    def get(self, name: str, *, limit: int = MAX_OUTPUT_BYTES) -> Found | None:
        """Return the object called `name` (a hash, or `commit:path`); None where there is none."""
        return next(self.each([name], limit=limit))

    def each(
        self, names: Iterable[str], *, limit: int = MAX_OUTPUT_BYTES
    ) -> Iterator[Found | None]:
        """Yield the objects called `names`, in that order; contents above `limit` bytes are left
        out.
        """
        waiting = list(names)
        if any("\n" in name for name in waiting):
            raise GitError("A path with a line break in it cannot be read.", "reference")
        request = "".join(f"{name}\n" for name in waiting).encode("utf-8", "surrogateescape")
        if len(request) > _PIPE_BYTES:
            yield from self._many(request, len(waiting), limit)
            return
        self._in.write(request)
        self._in.flush()
        for _ in waiting:
            yield _answer(self._out, limit)

    def _many(self, request: bytes, count: int, limit: int) -> Iterator[Found | None]:
        """Ask a process of their own: its requests come from a file, so neither side can block."""
        with tempfile.TemporaryFile() as requests:
            requests.write(request)
            requests.seek(0)
            process = self._start(requests, "--buffer")
        out = cast(IO[bytes], process.stdout)
        with suppress(OSError):  # a user's pipes may be large up to some total only
            fcntl.fcntl(out, fcntl.F_SETPIPE_SZ, _WIDE_PIPE_BYTES)
        try:
            for _ in range(count):
                yield _answer(out, limit)
        finally:
            process.kill()
            process.communicate()

    def entries(self, sha: str) -> list[Entry]:
        """Return the lines of the tree `sha`; [] where it is no tree."""
        size = len(sha) // 2
        return [_entry(line, size) for line in _lines(self._tree(sha), size)]

    def differing(self, first: str, second: str) -> tuple[list[Entry], list[Entry]]:
        """Return what only the first of two trees has, and only the second; "" is an empty tree."""
        old, new, size = self._tree(first), self._tree(second), len(first or second) // 2
        start = _shared(old, new)
        was, now = set(_lines(old[start:], size)), set(_lines(new[start:], size))
        return [_entry(line, size) for line in was - now], [
            _entry(line, size) for line in now - was
        ]

    def _tree(self, sha: str) -> bytes:
        tree = self.get(sha) if sha else None
        return tree.content or b"" if tree is not None and tree.kind == "tree" else b""


def _lines(tree: bytes, size: int) -> list[bytes]:
    """git's raw format of a tree: mode, blank, name, NUL, hash of `size` bytes; and so on."""
    return re.findall(rb"\d+ [^\0]+\0.{%d}" % size, tree, re.DOTALL)


def _shared(first: bytes, second: bytes) -> int:
    """Return where to begin reading two trees for their difference: a line well within what they
    begin with alike.

    What looks like the beginning of a line may stand in the middle of one; the first line read is
    then not a true one, but it is the same in both, for lines are shorter than the distance kept,
    and so cancels out.
    """
    low, high = 0, min(len(first), len(second))
    while low < high:
        middle = (low + high + 1) // 2
        if first[low:middle] == second[low:middle]:
            low = middle
        else:
            high = middle - 1
    mark = re.compile(rb"(?:100644|100755) [^\0]{1,500}\0").search(
        first, max(0, low - 2400), max(0, low - 600)
    )
    return mark.start() if mark else 0


def _entry(line: bytes, size: int) -> Entry:
    mode, _, name = line[: -size - 1].partition(b" ")
    return Entry(name.decode("utf-8", "surrogateescape"), mode.decode(), line[-size:].hex())


def _answer(out: IO[bytes], limit: int) -> Found | None:
    """Return git's next answer: hash, kind and size on a line, the content, a line break."""
    header = out.readline()
    if not header:
        raise GitError(
            "git ended while the repository was being read; look at the mirror's directory."
        )
    words = header.split()
    if len(words) != 3 or not words[2].isdigit():
        return None  # “… missing”, “… ambiguous”
    sha, kind, size = words[0].decode(), words[1].decode(), int(words[2])
    if size <= limit:
        return Found(sha, kind, size, out.read(size + 1)[:-1])
    left = size + 1
    while left and (skipped := len(out.read(min(left, 1 << 20)))):
        left -= skipped
    return Found(sha, kind, size, None)
