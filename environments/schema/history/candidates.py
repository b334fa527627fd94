"""Looks for Alembic directories, to say what is there when the configured path finds nothing."""

import posixpath
import re
from typing import NamedTuple

from environments.git.objects import Found, Objects

MOST_ENTRIES = 50_000
MOST_FILES = 3_000
_MAX_BYTES = 200_000
_SETS = re.compile(
    rb"set_main_option\(\s*[\"']script_location[\"']|set_section_option\([^)]*[\"']script_location[\"']"
)
_NOT_OURS = (".venv", "venv", "node_modules", "site-packages", ".git")


class Snapshot(NamedTuple):
    """The files of one commit, a full hash, over a running reader."""

    objects: Objects
    commit: str

    def get(self, path: str, *, limit: int) -> Found | None:
        """Return what lies at `path`, with its content where that has at most `limit` bytes."""
        return self.objects.get(f"{self.commit}:{path}", limit=limit)

    def tree(self, path: str) -> str:
        """Return the hash of the directory `path`; "" where there is none."""
        entry = self.get(path, limit=0)
        return entry.sha if entry is not None and entry.kind == "tree" else ""


class Candidates(NamedTuple):
    """Script directories (`env.py` beside `versions` or a template) and configurations."""

    scripts: tuple[str, ...]
    configurations: tuple[str, ...]
    python: tuple[tuple[str, str], ...]  # path and blob


def candidates(at: Snapshot) -> Candidates:
    """Return what looks like Alembic's, by names alone; of a very large tree only a part."""
    scripts, configurations, python, seen = [], [], [], 0
    todo = [(at.tree(""), "")]
    while todo and seen < MOST_ENTRIES:
        tree, path = todo.pop(0)
        entries = at.objects.entries(tree)
        seen += len(entries)
        names = {entry.name for entry in entries}
        if "env.py" in names and names & {"versions", "script.py.mako"}:
            scripts.append(path or ".")
        for entry in entries:
            inner = posixpath.join(path, entry.name)
            if entry.mode == "40000" and entry.name not in _NOT_OURS:
                todo.append((entry.sha, inner))
            elif entry.name.startswith("alembic") and entry.name.endswith(".ini"):
                configurations.append(inner)
            elif entry.name.endswith(".py"):
                python.append((inner, entry.sha))
    return Candidates(tuple(scripts), tuple(configurations), tuple(python))


def code_that_sets_location(at: Snapshot) -> str:
    """Return file and line of the code that gives Alembic its script directory; "" for none."""
    python = candidates(at).python[:MOST_FILES]
    blobs = at.objects.each((blob for _, blob in python), limit=_MAX_BYTES)
    for (path, _), file in zip(python, blobs, strict=True):
        text = (file.content if file else None) or b""
        if match := _SETS.search(text):
            return f"{path}, line {text.count(b'\n', 0, match.start()) + 1}"
    return ""


def nothing_found(at: Snapshot, directories: tuple[str, ...]) -> str:
    """Say where no revision was found, what lies there, and where else may be some."""
    looked = " and ".join(_held(at, directory) for directory in directories)
    message = f"No revision was found. Looked in {looked or 'nowhere, for no path was given'}."
    others = [
        f"“{script}”"
        for script in candidates(at).scripts
        if posixpath.join(script, "versions") not in directories
    ]
    return f"{message} Other script directories: {', '.join(others[:4])}." if others else message


def _held(at: Snapshot, directory: str) -> str:
    tree = at.tree(directory)
    if not tree:
        return f"“{directory}”, which is not in the repository"
    names = sorted(entry.name for entry in at.objects.entries(tree))
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return f"“{directory}”, which holds {', '.join(names[:4])}{more}"
