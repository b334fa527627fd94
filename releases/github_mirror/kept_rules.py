"""What a branch demands of a merge, as its row keeps it: one reading alone takes no demand back.

GitHub says by null that nothing is demanded, and so an answer that lost a value looks like a rule
that was removed.
"""

from collections.abc import Mapping

from environments.github.merging import MergeRules, from_json
from portal.outbound.parsing import JsonObject

_LIGHTER = "lighter"  # beside the rules that stand: what the last reading said instead
_LISTS = ("checks", "deployments", "others")
_RANK = {False: 0, None: 1, True: 2}


def kept_rules(before: JsonObject | None, found: MergeRules | None) -> JsonObject | None:
    """Return what to keep after a reading that found these rules; None: they are not known.

    A reading that demands less than the one before counts when the next one says the same.
    """
    if found is None:
        return None
    now = found.as_json()
    if not before or before.get(_LIGHTER) == now or not _lighter(found, from_json(before)):
        return now
    return {**before, _LIGHTER: now}


def _lighter(now: MergeRules, before: MergeRules) -> bool:
    """Whether anything is demanded no more, or allowed anew."""
    new, old = vars(now), vars(before)
    return (
        any(set(old[name]) - set(new[name]) for name in _LISTS)
        or bool(set(now.methods) - set(before.methods))
        or (before.deletable and not now.deletable)
        or any(_rank(new[name]) < _rank(old[name]) for name in _flags(old))
    )


def _flags(rules: Mapping[str, object]) -> list[str]:
    """The demands that are met or not, and the count of approvals."""
    return [name for name in rules if name not in (*_LISTS, "methods", "deletable")]


def _rank(value: bool | int | None) -> int:
    return _RANK[value] if value is None or isinstance(value, bool) else value
