"""The revision files that a commit holds, read from git's trees, and how two trees differ."""

from collections.abc import Mapping

from environments.git.objects import Entry, Objects
from environments.schema.history.location import Location
from environments.schema.history.revision_file import is_revision_file

type Files = Mapping[str, tuple[str, str]]  # path → (blob, mode)


type _Writable = dict[str, tuple[str, str]]


def trees(objects: Objects, commit: str, location: Location) -> dict[str, str]:
    """Return the hash of each directory's tree; a directory that is not there holds nothing, as for
    Alembic.
    """
    found = {path: objects.get(f"{commit}:{path}", limit=0) for path in location.directories}
    return {
        path: tree.sha for path, tree in found.items() if tree is not None and tree.kind == "tree"
    }


def files_in(objects: Objects, trees: Mapping[str, str], location: Location) -> Files:
    """Return every revision file, in the order in which Alembic loads them: by directory, then by
    name.
    """
    files: dict[str, tuple[str, str]] = {}
    for directory, tree in trees.items():
        _walk(objects, tree, directory, location.recursive, files)
    return files


def differing(
    objects: Objects, before: tuple[str, Location], after: tuple[str, Location]
) -> tuple[Files, Files]:
    """Return the files of the first commit that the second has not like that, and the other way
    round.
    """
    sides = [(trees(objects, commit, location), location) for commit, location in (before, after)]
    (old, earlier), (new, later) = sides
    gone: dict[str, tuple[str, str]] = {}
    come: dict[str, tuple[str, str]] = {}
    if (earlier.directories, earlier.recursive) == (later.directories, later.recursive):
        for directory in later.directories:
            was, now = old.get(directory, ""), new.get(directory, "")
            _walk_both(objects, was, now, directory, later.recursive, (gone, come))
        return gone, come
    first, second = files_in(objects, old, earlier), files_in(objects, new, later)
    gone.update((path, at) for path, at in first.items() if second.get(path) != at)
    come.update((path, at) for path, at in second.items() if first.get(path) != at)
    return gone, come


def _walk(objects: Objects, tree: str, directory: str, recursive: bool, files: _Writable) -> None:
    """Add the revision files of `tree`, those of its directories after its own."""
    entries = objects.entries(tree)
    _add(entries, directory, files)
    if recursive:
        for name, tree in _directories(entries).items():
            _walk(objects, tree, _join(directory, name), recursive, files)


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
    for found, files in zip(entries, sides, strict=True):
        _add(found, directory, files)
    if recursive:
        was, now = _directories(entries[0]), _directories(entries[1])
        for name in sorted({*was, *now}):
            inner = _join(directory, name)
            _walk_both(objects, was.get(name, ""), now.get(name, ""), inner, recursive, sides)


def _add(entries: list[Entry], directory: str, files: _Writable) -> None:
    prefix = f"{directory}/" if directory else ""
    for name, mode, sha in sorted(entries):
        if mode not in ("40000", "160000") and is_revision_file(name):
            files.setdefault(prefix + name, (sha, mode))


def _directories(entries: list[Entry]) -> dict[str, str]:
    found = sorted((entry.name, entry.sha) for entry in entries if entry.mode == "40000")
    return {name: sha for name, sha in found if not name.endswith("__pycache__")}


def _join(directory: str, name: str) -> str:
    return f"{directory}/{name}" if directory else name
