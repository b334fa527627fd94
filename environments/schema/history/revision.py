"""One revision file as the graph knows it, and one thing that is wrong with them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple


class Revision(NamedTuple):  # made by the thousand, for which a frozen dataclass is slow
    """One revision file; `sha256` is that of its bytes, `message` its docstring's first line.

    Where only the text was looked at there is neither `path` nor `sha256`.
    """

    id: str
    down: tuple[str, ...]
    depends_on: tuple[str, ...]
    labels: tuple[str, ...]
    path: str = ""
    sha256: str = ""
    message: str = ""
    has_downgrade: bool = False


@dataclass(frozen=True)
class Problem:
    """Why a history must not be run. One sentence naming the files and what fixes it.

    `kind`: location, computed, unreadable, duplicate, illegal, missing, label, cycle or heads.
    """

    kind: str
    sentence: str
    paths: tuple[str, ...] = ()


class HistoryError(Exception):
    """A question that this history cannot answer, as one sentence."""


def parents_in(revisions: Mapping[str, Revision]) -> dict[str, tuple[str, ...]]:
    """Return what must run before each revision: `down` and `depends_on`, labels resolved."""
    owner = {label: revision.id for revision in revisions.values() for label in revision.labels}
    owner |= {id: id for id in revisions}
    parents = {id: revision.down for id, revision in revisions.items()}
    for id, node in revisions.items():
        if node.depends_on:
            needed = (owner.get(name, name) for name in node.depends_on)
            parents[id] = tuple(dict.fromkeys((*node.down, *needed)))
    return parents


def below(ids: Iterable[str], parents: Mapping[str, Iterable[str]]) -> set[str]:
    """Return `ids` and all that is reached from them by `parents`."""
    todo, seen = list(ids), set[str]()
    while todo:
        id = todo.pop()
        if id not in seen:
            seen.add(id)
            todo.extend(parents.get(id, ()))
    return seen
