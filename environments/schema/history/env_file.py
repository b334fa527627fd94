"""The `env.py` of a history at one commit and the modules that it imports, as text."""

import ast
import posixpath
import sys
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from environments.git.repository import Mirror
from environments.schema.history.constants import parsed
from environments.schema.history.env_meaning import Meaning, meaning_of
from environments.schema.history.graph import History
from environments.schema.history.revision_file import MAX_FILE_BYTES
from environments.schema.history.tree import texts

MOST_MODULES = 300
# What the portal's own runner can import.
_HAS = sys.stdlib_module_names | {"alembic", "sqlalchemy", "psycopg", "mako", "typing_extensions"}
_kept: OrderedDict[tuple[str, str, str | None], Meaning] = OrderedDict()


def read_meaning(mirror: Mirror, commit: str, history: History) -> Meaning:
    """Return what the `env.py` of `history` (that of `commit`) means for a run.

    Raise `GitError`.
    """
    key = (str(mirror.path), mirror.commit(commit), history.script)
    if key not in _kept:
        _kept[key] = _read(mirror, commit, history)
        while len(_kept) > 64:
            _kept.popitem(last=False)
    return _kept[key]


def _read(mirror: Mirror, commit: str, history: History) -> Meaning:
    modules = sources(mirror, commit, history)
    if not modules:
        return Meaning()
    source = modules.pop(posixpath.join(history.script or "", "env.py"))
    return meaning_of(source, modules)


def sources(mirror: Mirror, commit: str, history: History) -> dict[str, bytes]:
    """Return the `env.py` of `history`, if there is one, and the project's modules that it imports,
    by path. Raise `GitError`.
    """
    if history.script is None:
        return {}
    path = posixpath.join(history.script, "env.py")
    source = mirror.read_file(commit, path)
    if source is None:
        return {}
    return {path: source} | _imported(mirror, commit, path, source)


def _imported(mirror: Mirror, commit: str, path: str, source: bytes) -> dict[str, bytes]:
    """Return the modules that `source` imports from the repository, and those that these import."""
    names = list(imported_names(source, path))
    if not names:
        return {}
    blobs = dict(mirror.tree(commit))
    roots = _roots(path)
    modules: dict[str, bytes] = {}
    while names and len(modules) < MOST_MODULES:
        paths = {at for name in names for at in _paths(name, roots, blobs)} - {*modules, path}
        new = texts(mirror, commit, sorted(paths)[: MOST_MODULES - len(modules)])
        modules |= new
        names = [name for at, text in new.items() for name in imported_names(text, at)]
    return modules


def _roots(path: str) -> list[str]:
    """Return where imports may be looked for: each directory above `env.py`, and its `src`."""
    above = [str(folder) for folder in PurePosixPath(path).parents]
    return [
        posixpath.normpath(posixpath.join(folder, more)) for folder in above for more in ("", "src")
    ]


def imported_names(source: bytes, path: str | None = None) -> Iterator[str]:
    """Yield the dotted names that a module imports; for `from a import b` both `a` and `a.b`.

    Relative imports only of a module whose `path` in the repository is told, from its root on.
    """
    module = parsed(source)
    for node in ast.walk(module) if module else ():
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and (origin := _origin(node, path)):
            yield origin
            yield from (f"{origin}.{name.name}" for name in node.names)


def _origin(node: ast.ImportFrom, path: str | None) -> str:
    """Return the dotted name of what is imported from; "" where nothing of the repository is."""
    if not node.level:
        return node.module or ""
    places = (path or "").split("/")[: -node.level]
    return ".".join([*places, node.module] if node.module else places) if places else ""


def _paths(name: str, roots: Iterable[str], blobs: dict[str, str]) -> Iterator[str]:
    parts = name.split(".")
    for root in roots:
        for count in range(len(parts), 0, -1):
            stem = posixpath.normpath(posixpath.join(root, *parts[:count]))
            for path in (f"{stem}.py", f"{stem}/__init__.py"):
                if path in blobs:
                    yield path


def needs(mirror: Mirror, commits: Iterable[tuple[str, History]]) -> str:
    """Return why these histories, each with its commit, need the project's own command, as a
    clause; "" where the portal's runner can run them. Raise `GitError`.
    """
    for commit, history in commits:
        if packages := foreign_packages(mirror, commit, history):
            named = ", ".join(f"“{name}”" for name in packages[:4])
            return f"its migrations import {named}"
        if refused := read_meaning(mirror, commit, history).refused:
            return refused[0]
    return ""


def foreign_packages(mirror: Mirror, commit: str, history: History) -> tuple[str, ...]:
    """Return what the revisions import beside Alembic, SQLAlchemy and the standard library.

    Raise `GitError`.
    """
    paths = {revision.path for revision in history.revisions.values()}
    blobs = [blob for path, blob in mirror.tree(commit, history.directories) if path in paths]
    contents = mirror.read(blobs, limit=MAX_FILE_BYTES).values()
    names = (name for text in contents for name in imported_names(text))
    return tuple(sorted({name.partition(".")[0] for name in names} - _HAS))
