"""Ways in which a good JSON answer can go bad: a key gone, a null, another type, at any place."""

import copy
from collections.abc import Iterator

STRANGE = [None, 7, "?", True, [], {}, [None], 1.5, "NEW_WORD"]


def places(value: object, path: tuple = ()) -> Iterator[tuple]:
    """Every place in a JSON value, as the keys that lead to it."""
    if path:
        yield path
    children = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, child in children:
        yield from places(child, (*path, key))


def changed(answer: object, path: tuple, value: object) -> object:
    """A copy of `answer` with `value` at `path`."""
    answer = copy.deepcopy(answer)
    parent = answer
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = value
    return answer


def without(answer: object, path: tuple) -> object:
    """A copy of `answer` without what is at `path`."""
    answer = copy.deepcopy(answer)
    parent = answer
    for key in path[:-1]:
        parent = parent[key]
    del parent[path[-1]]
    return answer


def mutations(answer: object) -> Iterator[tuple[tuple, object]]:
    """Each place, and `answer` gone bad there, in every way."""
    for path in places(answer):
        yield path, without(answer, path)
        for value in STRANGE:
            yield path, changed(answer, path, value)
