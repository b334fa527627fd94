"""Compares two histories: new, edited and deleted revisions, and their problems."""

import shlex
from collections.abc import Iterable
from dataclasses import dataclass, replace

from environments.schema.history.graph import History
from environments.schema.history.revision import HistoryError, Problem, Revision


@dataclass(frozen=True)
class Change:
    """What a range of commits does to the revisions. `new` is in upgrade order.

    `heads_before` is None when it was not asked for (`compare(…, whole=False)`).
    """

    new: tuple[Revision, ...]
    changed: tuple[Revision, ...]
    deleted: tuple[Revision, ...]
    heads_before: tuple[str, ...] | None
    problems: tuple[Problem, ...]


def put_back(commit: str, paths: Iterable[str]) -> str:
    """Return the command that brings these files back as they were at `commit`."""
    return f"git checkout {commit[:10]} -- {' '.join(shlex.quote(path) for path in paths)}"


def inserted_below(before: History, after: History) -> tuple[Problem, ...]:
    """Return new revisions below shipped ones: databases are past them and would never run them."""
    if after.problems or before.problems:
        return ()
    shipped = [id for id in after.revisions if id in before.revisions]
    below = [id for id in after.ancestors(shipped) if id not in before.revisions]
    if not below:
        return ()
    first = next(revision for revision in after.linear if revision.id in below)
    above = next(revision for revision in after.linear if first.id in after.parents[revision.id])
    message = (
        f"{first.id} was put below {above.id}, which has run: Alembic will not run it where"
        f" {above.id} is. Put it on top: `down_revision ="
        f" {(before.effective_heads or ('',))[-1]!r}` in {first.path}, and {above.path} as it was."
    )
    return (Problem("inserted", message, (first.path, above.path)),)


def with_lost_parent(problem: Problem, before: History, after: History, since: str) -> Problem:
    """Return the problem with the file of a parent that is gone, and how it comes back."""
    if problem.kind != "missing" or not problem.paths:
        return problem
    child = next(
        revision for revision in after.revisions.values() if revision.path == problem.paths[0]
    )
    missing = (id for id in (*child.down, *child.depends_on) if id not in after.revisions)
    gone = [before.revisions[id].path for id in missing if id in before.revisions]
    if not gone:
        return problem
    message = f"{problem.sentence} It was {', '.join(gone)}: `{put_back(since, gone)}`."
    return replace(problem, sentence=message, paths=(*problem.paths, *gone))


def change_between(
    was: Iterable[Revision],
    now: Iterable[Revision],
    before: History | None,
    after: History | None,
    problems: tuple[Problem, ...],
) -> Change:
    old, new = (
        {revision.id: revision for revision in was},
        {revision.id: revision for revision in now},
    )
    if before is not None and after is not None:
        # A copy of a file is not a new revision, nor a move.
        known_before, known_after = before.revisions, after.revisions
    else:
        known_before, known_after = old, new
    added = [revision for id, revision in new.items() if id not in known_before]
    return Change(
        new=_ordered(added, after),
        changed=tuple(
            revision
            for id, revision in new.items()
            if id in old and old[id].sha256 != revision.sha256
        ),
        deleted=tuple(revision for id, revision in old.items() if id not in known_after),
        heads_before=before.heads if before else () if after else None,
        problems=tuple(dict.fromkeys([*problems, *(after.problems if after else ())])),
    )


def _ordered(added: list[Revision], after: History | None) -> tuple[Revision, ...]:
    """Return them as Alembic orders a whole, sound history, else parents first."""
    if after is not None and added:
        try:
            place = {revision.id: at for at, revision in enumerate(after.linear)}
            return tuple(sorted(added, key=lambda revision: place.get(revision.id, len(place))))
        except HistoryError:
            pass
    return in_order(added)


def in_order(added: Iterable[Revision]) -> tuple[Revision, ...]:
    """Return the revisions, parents first, by what the files themselves say."""
    waiting, placed = {revision.id: revision for revision in added}, list[Revision]()
    while waiting:
        free = [
            revision
            for revision in waiting.values()
            if not {*revision.down, *revision.depends_on} & set(waiting)
        ]
        for next_one in free or list(waiting.values()):
            placed.append(waiting.pop(next_one.id))
    return tuple(placed)
