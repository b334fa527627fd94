"""What is wrong with a set of revisions: duplicates, labels, missing parents, circles, forks."""

from collections import Counter
from collections.abc import Mapping
from itertools import chain

from environments.schema.history.revision import Problem, Revision, parents_in

ILLEGAL = frozenset("@-+:")  # in ids, for Alembic gives them a meaning of their own


RESERVED = frozenset({"base", "head", "heads"})  # as ids and labels, for the same reason


def duplicate(revision: Revision, other: Revision) -> Problem:
    sentence = (
        f"{other.path} and {revision.path} both declare revision {revision.id}; give one of them an"
        " id of its own."
    )
    return Problem("duplicate", sentence, (other.path, revision.path))


def label_problems(revisions: Mapping[str, Revision]) -> list[Problem]:
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


def missing(revisions: Mapping[str, Revision]) -> list[Problem]:
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


def cycles(revisions: Mapping[str, Revision]) -> list[Problem]:
    """Kahn's algorithm: what no base leads to runs in a circle, or hangs on one that does."""
    parents = parents_in(revisions)
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
    """Return the same from the heads, which is quicker and tells only whether there is a circle at
    all.
    """
    users = Counter(chain.from_iterable(parents.values()))
    free = [id for id in parents if id not in users]
    for id in free:  # grows on the way
        for parent in parents.get(id, ()):
            users[parent] -= 1
            if not users[parent]:
                free.append(parent)
    return parents.keys() <= set(free)


def forked(revisions: Mapping[str, Revision], heads: tuple[str, ...]) -> list[Problem]:
    """Return whether several heads are meant: only where each has a branch label of its own."""
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
