"""Where a database is relative to the head of its branch, as a state and a sentence.

Pure: a history and what the version table says.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from environments.schema.history.graph import History
from environments.schema.history.revision import HistoryError, Revision, below

LEVEL, BEHIND, HEADS, AHEAD = "level", "behind", "heads", "ahead"
UNKNOWN, OVERLAP, BROKEN, UNREAD = "unknown", "overlap", "broken", "unread"
ADOPTED = "adopted"
STRANGE = (UNKNOWN, AHEAD, ADOPTED)  # no file of its branch may say where it is
NAMED = 4
# What to do if the files that made a schema are gone, or never ran.
PROVE = (
    "If it was squashed or pruned, have it proven on the page Migrations which revision the schema"
    " is, and stamped."
)


@dataclass(frozen=True)
class RevisionStatus:
    """One database beside one branch.

    `state`: level; behind; heads (two in the version table, joined by what is to run); ahead
    (another branch has the rest); unknown (no file has it); overlap (one row builds upon another);
    broken (the files at the branch); adopted (tables and no revision); unread. `between`: what an
    upgrade would run, in order; `beyond`: what only the database has.
    """

    state: str
    sentence: str
    between: tuple[Revision, ...] = ()
    beyond: tuple[str, ...] = ()


def status_of(
    where: str,
    current: Collection[str] | None,
    branch: str,
    history: History,
    others: Mapping[str, History],
    *,
    tables: int = 0,
) -> RevisionStatus:
    """`where` names the environment; `others` are the histories of the other long-lived
    branches, by name; `tables` counts those of a database that reports no revision.
    """
    if current is None:
        return RevisionStatus(UNREAD, f"{where}'s database has not been read.")
    rows = sorted(current)
    strange = [row for row in rows if row not in history.revisions]
    if strange:
        return _strange(where, rows, strange, branch, history, others)
    if history.problems and any(problem.kind != "heads" for problem in history.problems):
        return RevisionStatus(BROKEN, f"At the head of {branch}: {history.problems[0].sentence}")
    if overlap := _overlap(history, rows):
        upper, lower = overlap
        message = (
            f"{where}'s version table holds {lower} beside {upper}, which builds upon it; Alembic"
            f" refuses that. Make sure that {upper} has run, then delete the row {lower}."
        )
        return RevisionStatus(OVERLAP, message)
    status = _below(where, rows, branch, history)
    if rows or not tables or not status.between:
        return status
    message = (
        f"{where}'s database has {tables} table{'s' if tables > 1 else ''} and no revision. If"
        " other than these migrations made them, the first run begins at the first revision; if"
        " these did, have it proven which revision the schema is, and stamped."
    )
    return replace(status, state=ADOPTED, sentence=message)


def _strange(
    where: str,
    rows: Sequence[str],
    strange: Sequence[str],
    branch: str,
    history: History,
    others: Mapping[str, History],
) -> RevisionStatus:
    """Return the status where some of `rows` is in no file at the head of its branch."""
    for name, other in others.items():
        if all(row in other.revisions for row in rows):
            ran = _order(other, other.ancestors(rows))
            beyond = tuple(id for id in ran if id not in history.revisions)
            message = f"{where}'s database is ahead of {branch} by {_revisions(beyond)}, which"
            message += f" {name} has."
            if history.revisions and len(beyond) == len(ran):  # nothing of it is in its own branch
                message += f" {PROVE}"
            return RevisionStatus(AHEAD, message, (), beyond)
    known = _and([branch, *others])
    message = (
        f"{where}'s database is at {_and(strange)}, which no file of {known} has: bring the file"
        f" back, or downgrade from the commit that has it. {PROVE}"
    )
    return RevisionStatus(UNKNOWN, message, (), tuple(strange))


def _below(where: str, rows: Sequence[str], branch: str, history: History) -> RevisionStatus:
    wanted = history.effective_heads
    try:
        between = history.between(rows, wanted)
    except HistoryError as error:
        return RevisionStatus(BROKEN, f"From {_and(rows)} to the head of {branch}: {error}")
    if not between:
        at = f"is at the head of {branch}" if wanted else f"is empty, as is {branch}"
        return RevisionStatus(LEVEL, f"{where}'s database {at}.")
    missing = _revisions([revision.id for revision in between])
    message = f"{where}'s database is behind {branch} by {missing}."
    joined = next(
        (revision for revision in between if len(set(revision.down) & set(rows)) > 1), None
    )
    if joined is None:
        return RevisionStatus(BEHIND, message, between)
    both = _and([row for row in rows if row in joined.down])
    heads = f"{where}'s version table holds two heads, {both}, which {joined.id} joins."
    return RevisionStatus(HEADS, f"{heads} {message}", between)


def _overlap(history: History, rows: Sequence[str]) -> tuple[str, str] | None:
    """Return a row that builds upon another, and that other.

    By `down_revision` only: what one depends on has its own row.
    """
    downs = {id: revision.down for id, revision in history.revisions.items()}
    for upper in rows:
        lower = below(downs[upper], downs).intersection(rows)
        if lower:
            return upper, min(lower)
    return None


def _order(history: History, ids: Collection[str]) -> list[str]:
    """Return `ids` in upgrade order where the history has one, else as the files lie."""
    try:
        return [revision.id for revision in history.linear if revision.id in ids]
    except HistoryError:
        return [id for id in history.revisions if id in ids]


def _revisions(ids: Sequence[str]) -> str:
    """Return “2 revisions: a and b”."""
    shown = _and([*ids[:NAMED], *([f"{len(ids) - NAMED} more"] if len(ids) > NAMED else [])])
    return f"{len(ids)} revision{'' if len(ids) == 1 else 's'}: {shown}"


def _and(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


@dataclass(frozen=True)
class Entry:
    """One line of the timeline.

    `branches`: those whose files have it; `joins`: what a merge brings together.
    """

    id: str
    message: str
    path: str
    branches: tuple[str, ...]
    joins: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


def timeline(
    histories: Mapping[str, History], marked: Collection[str], *, most: int = 40
) -> tuple[tuple[Entry, ...], int]:
    """Return the revisions of all branches, newest first, and how many are left out.

    Down to the oldest that is `marked`; at `most` so many, plus the marked ones. The order is that
    of the first branch in which a revision is found.
    """
    order: dict[str, Revision] = {}
    for history in histories.values():
        for id in _order(history, history.revisions.keys()):
            order.setdefault(id, history.revisions[id])
    newest = list(reversed(order.values()))
    last = max((at for at, revision in enumerate(newest) if revision.id in marked), default=0)
    shown = [
        revision
        for at, revision in enumerate(newest)
        if at < min(last + 3, most) or revision.id in marked
    ]
    entries = [
        Entry(
            revision.id,
            revision.message[:200],
            revision.path,
            tuple(name for name, its in histories.items() if revision.id in its.revisions),
            revision.down if len(revision.down) > 1 else (),
            revision.depends_on,
            revision.labels,
        )
        for revision in shown
    ]
    return tuple(entries), len(newest) - len(entries)
