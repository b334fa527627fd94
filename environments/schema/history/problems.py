"""What is wrong with a set of revisions: duplicates, labels, missing parents, circles, forks."""

from collections import defaultdict
from collections.abc import Mapping

from environments.schema.history.revision import Problem, Revision, below, parents_in

# Alembic gives these a meaning of their own: signs in ids, words as ids and labels.
_ILLEGAL = frozenset("@-+:")
_RESERVED = frozenset({"base", "head", "heads"})


def unfit(revision: Revision, others: Mapping[str, Revision]) -> Problem | None:
    """Return why a revision cannot stand beside `others`; None where it can."""
    path = revision.path
    if (other := others.get(revision.id)) is not None:
        sentence = (
            f"{other.path} and {path} both declare revision {revision.id}; give one of them an id"
            " of its own."
        )
        return Problem("duplicate", sentence, (other.path, path))
    if not _ILLEGAL.isdisjoint(revision.id):
        sentence = f"{path} has the id “{revision.id}”; Alembic allows none of @ - + : in it."
        return Problem("illegal", sentence, (path,))
    if not _RESERVED.isdisjoint((revision.id, *revision.labels)):
        word = min(_RESERVED & {revision.id, *revision.labels})
        sentence = (
            f"{path} uses the name “{word}”, which means something else to Alembic; rename it."
        )
        return Problem("illegal", sentence, (path,))
    return None


def label_problems(revisions: Mapping[str, Revision]) -> list[Problem]:
    owner: dict[str, Revision] = {}
    problems = []
    for revision in revisions.values():
        for label in revision.labels:
            other = revisions.get(label) or owner.setdefault(label, revision)
            if other is not revision or label in revisions:
                sentence = (
                    f"{other.path} and {revision.path} both use the name “{label}”; rename the"
                    " branch label."
                )
                problems.append(Problem("label", sentence, (other.path, revision.path)))
    return problems


def missing(revisions: Mapping[str, Revision]) -> list[Problem]:
    known = {*revisions, *(label for revision in revisions.values() for label in revision.labels)}
    problems = []
    for revision in revisions.values():
        gone = [("down_revision", id) for id in revision.down if id not in revisions]
        gone += [("depends_on", id) for id in revision.depends_on if id not in known]
        for name, id in gone:
            sentence = (
                f"{revision.path} builds upon revision “{id}”, which no file here has; "
                f"bring that file back or correct `{name}`."
            )
            problems.append(Problem("missing", sentence, (revision.path,)))
    return problems


def cycles(revisions: Mapping[str, Revision]) -> list[Problem]:
    """Return what no base leads to: it runs in a circle, or hangs on one that does.

    Kahn's algorithm; graphlib's takes three times as long for thousands of revisions.
    """
    waiting: dict[str, int] = {}  # for how many parents
    children = defaultdict[str, list[str]](list)
    for id, above in parents_in(revisions).items():
        known = [parent for parent in above if parent in revisions]
        waiting[id] = len(known)
        for parent in known:
            children[parent].append(id)
    ready = [id for id, count in waiting.items() if not count]
    for id in ready:  # grows on the way
        del waiting[id]
        for child in children.get(id, ()):
            waiting[child] -= 1
            if not waiting[child]:
                ready.append(child)
    if not waiting:
        return []
    paths = tuple(sorted(revisions[id].path for id in waiting))
    shown = ", ".join(paths[:4]) + (" and others" if len(paths) > 4 else "")
    sentence = (
        f"These revisions build upon each other in a circle: {shown}; correct a `down_revision`."
    )
    return [Problem("cycle", sentence, paths)]


def forked(revisions: Mapping[str, Revision], heads: tuple[str, ...]) -> list[Problem]:
    """Return whether several heads are meant: only where each has a branch label of its own."""
    downs = {id: revision.down for id, revision in revisions.items()}
    owned = [
        {label for id in below([head], downs) for label in revisions[id].labels} for head in heads
    ]
    if all(labels - set().union(*owned[:at], *owned[at + 1 :]) for at, labels in enumerate(owned)):
        return []
    shown = " and ".join(f"{head} ({revisions[head].path})" for head in heads[:4])
    paths = tuple(revisions[head].path for head in heads)
    command = f'alembic merge -m "merge heads" {" ".join(heads[:10])}'
    message = f"There are {len(heads)} heads, {shown}; join them with `{command}`."
    return [Problem("heads", message, paths)]
