"""The graph of revisions: heads, bases, order and what is wrong with it. Pure; executes nothing.

Terms are Alembic's: `down` are the parents within a branch, `depends_on` may name revisions or
branch labels. The order is computed by its own RevisionMap, so that it cannot differ.
"""

import warnings
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from environments.schema.history.problems import cycles, forked, label_problems, missing, unfit
from environments.schema.history.revision import HistoryError, Problem, Revision, below, parents_in

if TYPE_CHECKING:  # its import takes a third of a second, and few commands need it
    from alembic.script.revision import RevisionMap


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
        """The directories of the revisions and of the scripts, unless that is the repository."""
        script = (self.script,) if self.script else ()
        return tuple(dict.fromkeys([*self.directories, *script]))

    @cached_property
    def parents(self) -> Mapping[str, tuple[str, ...]]:
        return parents_in(self.revisions)

    @cached_property
    def effective_heads(self) -> tuple[str, ...]:
        """The heads on which nothing depends: the version table's rows after `upgrade heads`."""
        return self.tips(self.revisions)

    def ancestors(self, ids: Iterable[str]) -> frozenset[str]:
        """Return these revisions and all that had to run before them.

        Raise `HistoryError` where one is not known.
        """
        ancestors_found = below(ids, self.parents)
        if unknown := ancestors_found - self.revisions.keys():
            raise HistoryError(f"Revision “{min(unknown)}” is in no file at this commit.")
        return frozenset(ancestors_found)

    def tips(self, ids: Collection[str]) -> tuple[str, ...]:
        """Return those of `ids` that no other of `ids` builds upon, in file order."""
        below = {parent for id in ids for parent in self.parents[id]}
        wanted = set(ids) - below
        return tuple(id for id in self.revisions if id in wanted)

    def between(self, current: Collection[str], targets: Iterable[str]) -> tuple[Revision, ...]:
        """Return what `alembic upgrade` to `targets` would run, in its order, at `current`."""
        targets = tuple(dict.fromkeys(targets))
        self.ancestors([*current, *targets])
        if not targets:
            return ()
        # Each target by itself stands for all below it; Alembic refuses overlapping ones.
        tops = self.tips(self.ancestors(targets)) if len(targets) > 1 else targets
        steps = self._iterate(tops, tuple(sorted(current)), implicit_base=True)
        return tuple(reversed(steps))

    def back(self, current: Collection[str], target: str) -> tuple[Revision, ...]:
        """Return what `alembic downgrade` to a revision or "base" would undo, in its order."""
        self.ancestors([*current, *([] if target == "base" else [target])])
        return self._iterate(tuple(sorted(current)), target, select_for_downgrade=True)

    @cached_property
    def linear(self) -> tuple[Revision, ...]:
        """Every revision in the order in which an empty database would get it."""
        return self.between((), self.effective_heads)

    @cached_property
    def _map(self) -> "RevisionMap":
        from alembic.script.revision import Revision as Node
        from alembic.script.revision import RevisionMap

        return RevisionMap(
            lambda: [
                Node(
                    revision.id,
                    revision.down or None,
                    revision.depends_on or None,
                    revision.labels or None,
                )
                for revision in self.revisions.values()
            ]
        )

    def _iterate(
        self, upper: tuple[str, ...], lower: tuple[str, ...] | str, **how: bool
    ) -> tuple[Revision, ...]:
        if self.problems and any(problem.kind != "heads" for problem in self.problems):
            raise HistoryError(self.problems[0].sentence)
        from alembic.script.revision import RevisionError  # late, for the same reason

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                revisions = list(self._map.iterate_revisions(upper, lower, **how))
        except RevisionError as error:
            raise HistoryError(f"Alembic finds no way there: {error}.") from None
        return tuple(self.revisions[node.revision] for node in revisions)


def build(
    revisions_read: Iterable[Revision],
    directories: tuple[str, ...],
    problems: Iterable[Problem],
    *,
    recursive: bool,
    script: str | None = None,
) -> History:
    """Return the history of these files, in Alembic's order, with all that is wrong with it."""
    wrong, revisions = list(problems), dict[str, Revision]()
    for revision in revisions_read:
        if problem := unfit(revision, revisions):
            wrong.append(problem)
        else:
            revisions[revision.id] = revision
    wrong += label_problems(revisions) + missing(revisions)
    built_upon = {down for node in revisions.values() for down in node.down}
    heads = tuple(id for id in revisions if id not in built_upon)
    bases = tuple(id for id, node in revisions.items() if not node.down)
    wrong += cycles(revisions)
    if len(heads) > 1 and not wrong:
        wrong += forked(revisions, heads)
    return History(directories, revisions, heads, bases, tuple(wrong), recursive, script)
