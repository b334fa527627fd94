"""Why the portal's own runner cannot run a history: missing packages, or what its `env.py` does."""

import sys
from collections.abc import Iterable

from environments.git.repository import Mirror
from environments.schema.history.env_file import imported_names, read_meaning
from environments.schema.history.graph import History
from environments.schema.history.revision_file import MAX_FILE_BYTES

_HAS = sys.stdlib_module_names | {"alembic", "sqlalchemy", "psycopg", "mako", "typing_extensions"}


def needs(mirror: Mirror, commits: Iterable[tuple[str, History]]) -> str:
    """Return why these histories, each with its commit, need the project's own command, as a
    clause; "" where the portal's runner can run them.

    Raise `GitError`.
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
    texts = mirror.read(blobs, limit=MAX_FILE_BYTES)
    names = (name for text in texts.values() for name in imported_names(text))
    return tuple(sorted({name.partition(".")[0] for name in names} - _HAS))
