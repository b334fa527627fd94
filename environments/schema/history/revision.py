"""One revision file as the graph knows it, and one thing that is wrong with them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple


class Revision(NamedTuple):  # made by the thousand, for which a frozen dataclass is slow
    """One revision file; `sha256` is that of its bytes, `message` the first line of its
    docstring.
    """

    id: str
    down: tuple[str, ...]
    depends_on: tuple[str, ...]
    labels: tuple[str, ...]
    path: str
    sha256: str
    message: str
    has_downgrade: bool


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
    owner = {
        label: revision.id
        for revision in revisions.values()
        for label in revision.labels
        if label not in revisions
    }
    return {
        id: (
            revision.down
            if not revision.depends_on
            else tuple(
                dict.fromkeys(
                    (*revision.down, *(owner.get(name, name) for name in revision.depends_on))
                )
            )
        )
        for id, revision in revisions.items()
    }
