"""Looks for Alembic directories in a repository, to say what is there when the configured path
finds nothing.
"""

import posixpath
import re
from typing import NamedTuple

from environments.git.objects import Objects

MOST_ENTRIES = 50_000
MOST_FILES = 3_000
_MAX_BYTES = 200_000
_SETS = re.compile(
    rb"set_main_option\(\s*[\"']script_location[\"']|set_section_option\([^)]*[\"']script_location[\"']"
)
_NOT_OURS = (".venv", "venv", "node_modules", "site-packages", ".git")


class Candidates(NamedTuple):
    """Paths of script directories (with `env.py` beside `versions` or a template), and of
    Alembic's configurations.
    """

    scripts: tuple[str, ...]
    configurations: tuple[str, ...]
    python: tuple[tuple[str, str], ...]  # path and blob


def candidates(objects: Objects, commit: str) -> Candidates:
    """Return what looks like Alembic's at `commit`, by names alone; a very large tree is read in
    part.
    """
    scripts, configurations, python, seen = [], [], [], 0
    todo = [(f"{commit}^{{tree}}", "")]
    while todo and seen < MOST_ENTRIES:
        tree, path = todo.pop(0)
        found = objects.get(tree, limit=0)
        if found is None or found.kind != "tree":
            continue
        entries = objects.entries(found.sha)
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


def code_that_sets_location(objects: Objects, commit: str) -> str:
    """Return file and line of the code that gives Alembic its script directory; "" where none
    was found.
    """
    python = candidates(objects, commit).python[:MOST_FILES]
    blobs = objects.each((blob for _, blob in python), limit=_MAX_BYTES)
    for (path, _), found in zip(python, blobs, strict=True):
        text = (found.content if found else None) or b""
        if match := _SETS.search(text):
            return f"{path}, line {text.count(b'\n', 0, match.start()) + 1}"
    return ""


def nothing_found(objects: Objects, commit: str, directories: tuple[str, ...]) -> str:
    """Return the sentence for a path that led to no revision: what lies there, and what
    elsewhere.
    """
    looked = (
        " and ".join(_held(objects, commit, directory) for directory in directories)
        or "nowhere, for no path was given"
    )
    others = [
        script
        for script in candidates(objects, commit).scripts
        if posixpath.join(script, "versions") not in directories
    ]
    elsewhere = (
        f" Other script directories: {', '.join(f'“{other}”' for other in others[:4])}."
        if others
        else ""
    )
    return f"No revision was found. Looked in {looked}.{elsewhere}"


def _held(objects: Objects, commit: str, directory: str) -> str:
    found = objects.get(f"{commit}:{directory}", limit=0)
    if found is None or found.kind != "tree":
        return f"“{directory}”, which is not in the repository"
    names = sorted(entry.name for entry in objects.entries(found.sha))
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return f"“{directory}”, which holds {', '.join(names[:4])}{more}"
