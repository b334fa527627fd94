"""What identifies a revision in evidence: its file, and all that it can read while it runs.

Staged, rehearsed, accepted, approved and run are compared by this one hash. A revision that uses
only Alembic, SQLAlchemy and plain values is its file. To any other belongs what lies beside it
(`data.sql`, a helper module), and the whole commit where the project's own command runs it.
"""

import ast
import hashlib
from collections.abc import Iterable

from environments.git.repository import Mirror
from environments.schema.history.constants import parsed
from environments.schema.history.graph import History
from environments.schema.history.revision import Revision
from environments.schema.history.tree import texts

# Modules that give a revision nothing to read. Everything else is taken for a way to read a file.
_PLAIN_MODULE_NAMES = """
alembic sqlalchemy __future__ typing collections datetime decimal enum uuid json re math string
textwrap itertools functools operator dataclasses hashlib base64
"""
_PLAIN_MODULES = frozenset(_PLAIN_MODULE_NAMES.split())
_PLAIN_DUNDERS = frozenset({"__tablename__", "__table_args__", "__name__"})
# Names with which plain code leaves the modules above.
_WAY_OUT_NAMES = """
open exec eval compile globals locals vars getattr setattr input breakpoint os sys io pathlib
importlib builtins subprocess config environ get_x_argument
"""
_WAYS_OUT = frozenset(_WAY_OUT_NAMES.split())


def bound(
    mirror: Mirror,
    commit: str,
    history: History,
    revisions: Iterable[Revision],
    *,
    command: bool = False,
) -> tuple[Revision, ...]:
    """Return `revisions` of `commit` with the hash of all that each can read as their `sha256`.

    `command`: the project's own command runs them, whose `env.py` can import the whole repository.
    Raise `GitError`.
    """
    revisions = tuple(revisions)
    alone = _alone(mirror, commit, revisions)
    if not command and len(alone) == len(revisions):
        return revisions
    beside = _digest(f"{path} {blob}" for path, blob in companions(mirror, commit, history))
    tree = mirror.tree_of(commit) if command and len(alone) < len(revisions) else ""

    def whole(revision: Revision) -> str:
        if revision.id not in alone:
            return _digest([revision.sha256, tree or beside])
        if command and beside != _digest([]):
            return _digest([revision.sha256, beside])
        return revision.sha256

    return tuple(revision._replace(sha256=whole(revision)) for revision in revisions)


def companions(mirror: Mirror, commit: str, history: History) -> list[tuple[str, str]]:
    """Return path and blob of every file that lies with the revisions and is none itself."""
    own = {revision.path for revision in history.revisions.values()}
    places = history.readable
    files = mirror.tree(commit, places) if places else []
    return sorted((path, blob) for path, blob in files if path not in own)


def _alone(mirror: Mirror, commit: str, revisions: tuple[Revision, ...]) -> set[str]:
    """Return the ids of those whose file shows that they read nothing else."""
    contents = texts(mirror, commit, [revision.path for revision in revisions])
    return {revision.id for revision in revisions if reads_only_itself(contents[revision.path])}


def reads_only_itself(source: bytes) -> bool:
    """Return whether this surely uses nothing but Alembic, SQLAlchemy and plain values."""
    module = parsed(source) if source else None
    return module is not None and not any(map(_leaves, ast.walk(module)))


def _leaves(node: ast.AST) -> bool:
    if isinstance(node, ast.Import):
        return any(name.name.partition(".")[0] not in _PLAIN_MODULES for name in node.names)
    if isinstance(node, ast.ImportFrom):
        plain = not node.level and (node.module or "").partition(".")[0] in _PLAIN_MODULES
        return not plain or any(_is_way_out(name.name) for name in node.names)
    if isinstance(node, ast.Name):
        return _is_way_out(node.id)
    return isinstance(node, ast.Attribute) and _is_way_out(node.attr)


def _is_way_out(name: str) -> bool:
    return name in _WAYS_OUT or (name.startswith("__") and name not in _PLAIN_DUNDERS)


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
