"""The revision files that a commit holds, read from git's trees, and how two trees differ."""

import posixpath
from collections.abc import Iterable, Mapping

from environments.git.objects import Entry, Objects
from environments.git.repository import Mirror
from environments.schema.history.candidates import Snapshot
from environments.schema.history.location import Location
from environments.schema.history.revision_file import MAX_FILE_BYTES, is_revision_file

type Files = Mapping[str, tuple[str, str]]  # path → (blob, mode)
type _Writable = dict[str, tuple[str, str]]


def trees(at: Snapshot, location: Location) -> dict[str, str]:
    """Return the hash of each directory; one that is not there holds nothing, as for Alembic."""
    return {path: tree for path in location.directories if (tree := at.tree(path))}


def files_in(objects: Objects, trees: Mapping[str, str], location: Location) -> Files:
    """Return every revision file, as Alembic loads them: by directory, then by name."""
    files: _Writable = {}
    for directory, tree in trees.items():
        _walk(objects, tree, directory, location.recursive, files)
    return files


def differing(
    before: tuple[Snapshot, Location], after: tuple[Snapshot, Location]
) -> tuple[Files, Files]:
    """Return the files of the first commit that the second has not like that, and the reverse."""
    (_, earlier), (at, later) = before, after
    old, new = trees(*before), trees(*after)
    if (earlier.directories, earlier.recursive) == (later.directories, later.recursive):
        gone: _Writable = {}
        come: _Writable = {}
        for directory in later.directories:
            was, now = old.get(directory, ""), new.get(directory, "")
            _walk_both(at.objects, was, now, directory, later.recursive, (gone, come))
        return gone, come
    first, second = files_in(at.objects, old, earlier), files_in(at.objects, new, later)
    return _only_in(first, second), _only_in(second, first)


def _only_in(files: Files, others: Files) -> Files:
    return {path: file for path, file in files.items() if others.get(path) != file}


def texts(mirror: Mirror, commit: str, paths: Iterable[str]) -> dict[str, bytes]:
    """Return what these files hold at `commit`; b"" for one that is too large or not there.

    Raise `GitError`.
    """
    wanted = list(paths)
    blobs = dict(mirror.tree(commit, wanted)) if wanted else {}
    contents = mirror.read(blobs.values(), limit=MAX_FILE_BYTES)
    return {path: contents.get(blobs.get(path, ""), b"") for path in wanted}


def _walk(objects: Objects, tree: str, directory: str, recursive: bool, files: _Writable) -> None:
    """Add the revision files of `tree`, those of its directories after its own."""
    entries = objects.entries(tree)
    _add(entries, directory, files)
    if recursive:
        for name, tree in _directories(entries).items():
            _walk(objects, tree, posixpath.join(directory, name), recursive, files)


def _walk_both(
    objects: Objects,
    first: str,
    second: str,
    directory: str,
    recursive: bool,
    sides: tuple[_Writable, _Writable],
) -> None:
    """Add, to either side, the revision files that the other tree has not alike."""
    if first == second:
        return
    entries = objects.differing(first, second)
    for tree, files in zip(entries, sides, strict=True):
        _add(tree, directory, files)
    if recursive:
        was, now = _directories(entries[0]), _directories(entries[1])
        for name in sorted({*was, *now}):
            inner = posixpath.join(directory, name)
            _walk_both(objects, was.get(name, ""), now.get(name, ""), inner, recursive, sides)


def _add(entries: list[Entry], directory: str, files: _Writable) -> None:
    beginning = posixpath.join(directory, "")
    for name, mode, sha in sorted(entries):
        if mode not in ("40000", "160000") and is_revision_file(name):
            files.setdefault(beginning + name, (sha, mode))


def _directories(entries: list[Entry]) -> dict[str, str]:
    folders = sorted((entry.name, entry.sha) for entry in entries if entry.mode == "40000")
    return {name: sha for name, sha in folders if not name.endswith("__pycache__")}
