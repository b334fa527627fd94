"""Writes the files of a commit to disk safely, even if the commit was made to attack us.

Names are judged before anything is written, nothing is ever written through a link, and what cannot
be written ends in one sentence. `Mirror.checkout` and `checkout_all` bring the names and contents.
"""

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import NoReturn

from environments.git.calls import GitError
from portal.invisible_characters import visible_line

MAX_FILES, MAX_DIRECTORIES = 50_000, 50_000
MAX_DEPTH, MAX_NAME_BYTES, MAX_PATH_BYTES = 50, 255, 1000
MAX_BYTES = 256 * 1024 * 1024
# What some file systems leave out of a name (Git's own list for HFS+), so that `.g⟨U+200C⟩it` would
# be `.git` there.
_LEFT_OUT = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
_GIT_DIRECTORY = re.compile(r"(?:\.git|git~[0-9]+)[. ]*(?::.*)?", re.S)


class Hostile(GitError):
    """This tree must not be written to disk; the text is one sentence that says why."""


def judge(paths: Sequence[str]) -> None:
    """Raise `Hostile` for names that lead out, are git's own, come twice or exceed the bounds."""
    if len(paths) > MAX_FILES:
        many = f"This commit has more than {MAX_FILES:,} files here"
        raise Hostile(f"{many}; the portal does not write that many.")
    directories: set[str] = set()
    for path in paths:
        _judge_name(path)
        directories.update(str(parent) for parent in PurePosixPath(path).parents)
        if len(directories) > MAX_DIRECTORIES:
            raise Hostile(f"This commit has more than {MAX_DIRECTORIES:,} directories here.")
    [(most, times)] = Counter(paths).most_common(1) or [("", 0)]
    if times > 1:
        raise Hostile(f"“{named(most)}” is in this commit twice; no honest git writes that.")
    if both := directories & set(paths):
        raise Hostile(
            f"“{named(min(both))}” is both a file and a directory in this commit; no honest git"
            " writes that."
        )


def _judge_name(path: str) -> None:
    parts = path.split("/")
    if any(part in ("", ".", "..") or _is_gits(part) for part in parts) or "\0" in path:
        raise Hostile(
            f"“{named(path)}” leads out of its directory, or into git's own; the portal does not"
            " follow."
        )
    sizes = [len(os.fsencode(part)) for part in parts]
    if (
        len(parts) > MAX_DEPTH
        or max(sizes) > MAX_NAME_BYTES
        or sum(sizes) + len(parts) > MAX_PATH_BYTES
    ):
        raise Hostile(f"“{named(path)}” is too long or too deep a path to be written.")


def _is_gits(part: str) -> bool:
    """Return whether some file system takes `part` for `.git`."""
    folded = unicodedata.normalize("NFKC", _LEFT_OUT.sub("", part)).casefold().replace("\\", "/")
    return any(_GIT_DIRECTORY.fullmatch(part) for part in folded.split("/"))


def named(path: str) -> str:
    """Return a path as it stands in a sentence."""
    shown = visible_line(path)
    return shown if len(shown) <= 120 else f"{shown[:80]}…{shown[-39:]}"


def write(into: Path, path: str, content: bytes, mode: str) -> None:
    """Write one file, new and through no link.

    Raise `Hostile` where the file system takes it for another one.
    """
    target = into / path
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        target.chmod(0o755 if mode == "100755" else 0o644)
    except OSError as error:
        raise Hostile(_unwritten(path, error)) from None


def link(into: Path, links: Iterable[tuple[str, bytes | None]]) -> None:
    """Make the links of a written tree; if one leads out, by whatever chain, none of them stays."""
    made: list[Path] = []
    root = os.path.realpath(into)
    try:
        for path, leads in links:
            made.append(_linked(into, path, leads))
        for link in made:
            if not Path(os.path.realpath(link)).is_relative_to(root):
                _leads_out(str(link.relative_to(into)))
    except BaseException:
        for link in made:
            link.unlink(missing_ok=True)
        raise


def _linked(into: Path, path: str, leads: bytes | None) -> Path:
    target, where = into / path, os.fsdecode(leads or b"")
    end = os.path.normpath(os.path.join(os.path.dirname(path), where))
    if not where or "\0" in where or os.path.isabs(where) or end.split("/")[0] == "..":
        _leads_out(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if not Path(os.path.realpath(target.parent)).is_relative_to(os.path.realpath(into)):
            _leads_out(path)
        target.symlink_to(where)
    except OSError as error:
        raise Hostile(_unwritten(path, error)) from None
    return target


def _leads_out(path: str) -> NoReturn:
    raise Hostile(
        f"“{named(path)}” is a link that leads out of the repository; the portal does not follow."
    )


def _unwritten(path: str, error: OSError) -> str:
    return f"“{named(path)}” cannot be written: {error.strerror}."
