"""The graph of revisions: heads, bases, order and what is wrong with it. Pure; executes nothing.

Terms are Alembic's: `down` are the parents within a branch, `depends_on` may name revisions or
branch labels. Order is computed by Alembic's own RevisionMap, fed with what was read, so that it
cannot differ.
"""

import warnings
from collections import Counter, deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import NamedTuple

from alembic.script.revision import Revision as Node
from alembic.script.revision import RevisionError, RevisionMap

_ILLEGAL = frozenset("@-+:")  # in ids, for Alembic gives them a meaning of their own
_RESERVED = frozenset({"base", "head", "heads"})  # as ids and labels, for the same reason


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
    """Why a history must not be run. One sentence naming the files and what mends it.

    `kind`: location, computed, unreadable, duplicate, illegal, missing, label, cycle or heads.
    """

    kind: str
    sentence: str
    paths: tuple[str, ...] = ()


class HistoryError(Exception):
    """A question that this history cannot answer, as one sentence."""


@dataclass(frozen=True)
class History:
    """All revisions at one commit, by id, in the order in which Alembic lists the files."""

    directories: tuple[str, ...]
    revisions: Mapping[str, Revision]
    heads: tuple[str, ...]
    bases: tuple[str, ...]
    problems: tuple[Problem, ...]
    recursive: bool = False
    script: str | None = None  # the script directory; None where there is none

    @property
    def readable(self) -> tuple[str, ...]:
        """The directories that a run gets: those of the revisions, and the script directory with
        what lies in it.

        A script directory that is the whole repository is left out.
        """
        script = (self.script,) if self.script else ()
        return tuple(dict.fromkeys([*self.directories, *script]))

    @cached_property
    def parents(self) -> Mapping[str, tuple[str, ...]]:
        """For each revision what must run before it: `down` and `depends_on`, labels resolved."""
        return _parents(self.revisions)

    @cached_property
    def effective_heads(self) -> tuple[str, ...]:
        """The heads that no other revision depends on: what the version table holds after
        `upgrade heads`.
        """
        return self.tips(self.revisions)

    def ancestors(self, ids: Iterable[str]) -> frozenset[str]:
        """These revisions and all that had to run before them; unknown ids raise `HistoryError`."""
        todo, seen = deque(ids), set[str]()
        while todo:
            id = todo.pop()
            if id not in self.revisions:
                raise HistoryError(f"Revision “{id}” is in no file at this commit.")
            if id not in seen:
                seen.add(id)
                todo.extend(self.parents[id])
        return frozenset(seen)

    def tips(self, ids: Collection[str]) -> tuple[str, ...]:
        """Those of `ids` that no other of `ids` builds upon, in file order."""
        below = {parent for id in ids for parent in self.parents[id]}
        wanted = set(ids) - below
        return tuple(id for id in self.revisions if id in wanted)

    def between(self, current: Collection[str], targets: Iterable[str]) -> tuple[Revision, ...]:
        """What `alembic upgrade` would run, in its order, from a database at `current` to
        `targets`.
        """
        targets = tuple(dict.fromkeys(targets))
        self.ancestors([*current, *targets])
        if not targets:
            return ()
        # Each target by itself stands for all below it; Alembic refuses overlapping ones.
        tops = self.tips(self.ancestors(targets)) if len(targets) > 1 else targets
        steps = self._iterate(tops, tuple(sorted(current)), implicit_base=True)
        return tuple(reversed(steps))

    def back(self, current: Collection[str], target: str) -> tuple[Revision, ...]:
        """What `alembic downgrade` to `target` (a revision, or "base") would undo, in its order."""
        self.ancestors([*current, *([] if target == "base" else [target])])
        return self._iterate(tuple(sorted(current)), target, select_for_downgrade=True)

    @cached_property
    def linear(self) -> tuple[Revision, ...]:
        """Every revision in the order in which an empty database would get it."""
        return self.between((), self.effective_heads)

    @cached_property
    def _map(self) -> RevisionMap:
        nodes = [
            Node(
                revision.id,
                revision.down or None,
                revision.depends_on or None,
                revision.labels or None,
            )
            for revision in self.revisions.values()
        ]
        return RevisionMap(lambda: nodes)

    def _iterate(
        self, upper: tuple[str, ...], lower: tuple[str, ...] | str, **how: bool
    ) -> tuple[Revision, ...]:
        if self.problems and any(problem.kind != "heads" for problem in self.problems):
            raise HistoryError(self.problems[0].sentence)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = list(self._map.iterate_revisions(upper, lower, **how))
        except RevisionError as error:
            raise HistoryError(f"Alembic finds no way there: {error}.") from None
        return tuple(self.revisions[node.revision] for node in found)


def build(
    found: Iterable[Revision],
    directories: tuple[str, ...],
    problems: Iterable[Problem],
    *,
    recursive: bool,
    script: str | None = None,
) -> History:
    """The history of these files, in Alembic's order, with everything that is wrong with it."""
    wrong, revisions = list(problems), dict[str, Revision]()
    for one in found:
        if (other := revisions.get(one.id)) is not None:
            wrong.append(_duplicate(one, other))
        elif not _ILLEGAL.isdisjoint(one.id):
            sentence = f"{one.path} has the id “{one.id}”; Alembic allows none of @ - + : in it."
            wrong.append(Problem("illegal", sentence, (one.path,)))
        elif _RESERVED & {one.id, *one.labels}:
            word = min(_RESERVED & {one.id, *one.labels})
            sentence = (
                f"{one.path} uses the name “{word}”, which means something else to Alembic;"
                " rename it."
            )
            wrong.append(Problem("illegal", sentence, (one.path,)))
        else:
            revisions[one.id] = one
    wrong += _label_problems(revisions) + _missing(revisions)
    below = {down for revision in revisions.values() for down in revision.down}
    heads = tuple(id for id in revisions if id not in below)
    bases = tuple(id for id, revision in revisions.items() if not revision.down)
    wrong += _cycles(revisions)
    if len(heads) > 1 and not wrong:
        wrong += _forked(revisions, heads)
    return History(directories, revisions, heads, bases, tuple(wrong), recursive, script)


def _parents(revisions: Mapping[str, Revision]) -> dict[str, tuple[str, ...]]:
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


def _duplicate(revision: Revision, other: Revision) -> Problem:
    sentence = (
        f"{other.path} and {revision.path} both declare revision {revision.id}; give one of them an"
        " id of its own."
    )
    return Problem("duplicate", sentence, (other.path, revision.path))


def _label_problems(revisions: Mapping[str, Revision]) -> list[Problem]:
    owner: dict[str, Revision] = {}
    problems = []
    for revision in revisions.values():
        for label in revision.labels:
            other = (
                owner.setdefault(label, revision) if label not in revisions else revisions[label]
            )
            if other is not revision or label in revisions:
                sentence = (
                    f"{other.path} and {revision.path} both use the name “{label}”; rename the"
                    " branch label."
                )
                problems.append(Problem("label", sentence, (other.path, revision.path)))
    return problems


def _missing(revisions: Mapping[str, Revision]) -> list[Problem]:
    labels = {label for revision in revisions.values() for label in revision.labels}
    problems = []
    for revision in revisions.values():
        gone = [("down_revision", id) for id in revision.down if id not in revisions]
        gone += [
            ("depends_on", id)
            for id in revision.depends_on
            if id not in revisions and id not in labels
        ]
        for name, id in gone:
            sentence = (
                f"{revision.path} builds upon revision “{id}”, which no file here has; "
                f"bring that file back or correct `{name}`."
            )
            problems.append(Problem("missing", sentence, (revision.path,)))
    return problems


def _cycles(revisions: Mapping[str, Revision]) -> list[Problem]:
    """Kahn's algorithm: what no base leads to runs in a circle, or hangs on one that does."""
    parents = _parents(revisions)
    if _all_lead_down(parents):
        return []
    waiting: dict[str, int] = {}
    children: dict[str, list[str]] = {}
    ready: list[str] = []
    for id, above in parents.items():
        known = [parent for parent in above if parent in revisions]
        for parent in known:
            children.setdefault(parent, []).append(id)
        waiting[id] = len(known)
        if not known:
            ready.append(id)
    while ready:
        id = ready.pop()
        del waiting[id]
        for child in children.get(id, ()):
            waiting[child] -= 1
            if not waiting[child]:
                ready.append(child)
    paths = tuple(sorted(revisions[id].path for id in waiting))
    shown = ", ".join(paths[:4]) + (" and others" if len(paths) > 4 else "")
    sentence = (
        f"These revisions build upon each other in a circle: {shown}; correct a `down_revision`."
    )
    return [Problem("cycle", sentence, paths)]


def _all_lead_down(parents: Mapping[str, tuple[str, ...]]) -> bool:
    """The same from the heads, which is quicker and tells only whether there is a circle at all."""
    users = Counter(chain.from_iterable(parents.values()))
    free = [id for id in parents if id not in users]
    for id in free:  # grows on the way
        for parent in parents.get(id, ()):
            users[parent] -= 1
            if not users[parent]:
                free.append(parent)
    return parents.keys() <= set(free)


def _forked(revisions: Mapping[str, Revision], heads: tuple[str, ...]) -> list[Problem]:
    """Several heads are meant only where each has a branch label of its own."""
    owned: list[set[str]] = []
    for head in heads:
        seen, todo, labels = set[str](), [head], set[str]()
        while todo:
            id = todo.pop()
            if id not in seen:
                seen.add(id)
                labels.update(revisions[id].labels)
                todo.extend(revisions[id].down)
        owned.append(labels)
    if all(labels - set().union(*owned[:at], *owned[at + 1 :]) for at, labels in enumerate(owned)):
        return []
    shown = " and ".join(f"{head} ({revisions[head].path})" for head in heads[:4])
    paths = tuple(revisions[head].path for head in heads)
    command = f'alembic merge -m "merge heads" {" ".join(heads[:10])}'
    return [
        Problem(
            "heads", f"There are {len(heads)} heads, {shown}; join them with `{command}`.", paths
        )
    ]
