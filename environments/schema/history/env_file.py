"""The `env.py` of a history at one commit, and the modules of the project that it imports, as
text.
"""

import ast
import posixpath
from collections import OrderedDict
from collections.abc import Iterable, Iterator

from environments.git.repository import Mirror
from environments.schema.history.env_meaning import Meaning, meaning_of
from environments.schema.history.graph import History
from environments.schema.history.revision_file import MAX_FILE_BYTES

MOST_MODULES = 300
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
    texts = sources(mirror, commit, history)
    if not texts:
        return Meaning()
    source = texts.pop(posixpath.join(history.script or "", "env.py"))
    return meaning_of(source, texts)


def sources(mirror: Mirror, commit: str, history: History) -> dict[str, bytes]:
    """Return the `env.py` of `history` and the modules of the project that it imports, by path;
    nothing where there is no `env.py`.

    Raise `GitError`.
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
    found: dict[str, bytes] = {}
    while names and len(found) < MOST_MODULES:
        paths = (
            {path for name in names for path in _paths(name, roots, blobs)} - found.keys() - {path}
        )
        texts = mirror.read([blobs[path] for path in paths], limit=MAX_FILE_BYTES)
        new = {
            path: texts.get(blobs[path], b"") for path in sorted(paths)[: MOST_MODULES - len(found)]
        }
        found |= new
        names = [name for at, text in new.items() for name in imported_names(text, at)]
        if not new:
            break
    return found


def _roots(path: str) -> list[str]:
    """Return where imports may be looked for: each directory above `env.py`, and its `src`."""
    roots, here = [], posixpath.dirname(path)
    while here:
        roots.append(here)
        here = posixpath.dirname(here)
    roots.append("")
    return [one for root in roots for one in (root, posixpath.join(root, "src"))]


def imported_names(source: bytes, path: str | None = None) -> Iterator[str]:
    """Yield the dotted names that a module imports; for `from a import b` both `a` and `a.b`.

    Relative imports only of a module whose `path` in the repository is told, from its root on.
    """
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and (module := _module(node, path)):
            yield module
            yield from (f"{module}.{name.name}" for name in node.names)


def _module(node: ast.ImportFrom, path: str | None) -> str:
    """Return the dotted name of what is imported from; "" where nothing of the repository is."""
    if not node.level:
        return node.module or ""
    places = (path or "").split("/")[: -node.level]
    return ".".join([*places, node.module] if node.module else places) if places else ""


def _paths(name: str, roots: Iterable[str], blobs: dict[str, str]) -> Iterator[str]:
    parts = name.split(".")
    for root in roots:
        for count in range(len(parts), 0, -1):
            stem = posixpath.join(root, *parts[:count])
            for one in (f"{stem}.py", f"{stem}/__init__.py"):
                if one in blobs:
                    yield one
