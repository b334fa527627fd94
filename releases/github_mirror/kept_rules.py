"""The merge rules of a branch as its row stores them. One reading alone never removes a demand.

GitHub uses null for “nothing is required”, so an answer that lost a value looks like a rule
that was removed.
"""

from collections.abc import Mapping
from dataclasses import replace

from environments.github.merging import LIGHTER, MergeRules, from_json
from portal.outbound.parsing import JsonObject

_LISTS = ("checks", "deployments", "others")
_RANK = {False: 0, None: 1, True: 2}


def kept_rules(before: JsonObject | None, rules: MergeRules | None) -> JsonObject | None:
    """Return what to keep after a reading that found these rules; None: they are not known.

    What it demands counts at once; what it demands no more stands until the next one says the same.
    """
    if rules is None:
        return None
    now = rules.as_json()
    if not before or before.get(LIGHTER) == now:
        return now
    both = _both(rules, from_json(before))
    return now if both == rules else both.as_json() | {LIGHTER: now}


def contexts_of(kept: JsonObject | None) -> list[str] | None:
    """Return the names of the checks that these rules require; None: they are not known."""
    if kept is None:
        return None
    return list(dict.fromkeys(check.context for check in from_json(kept).checks))


def _both(now: MergeRules, before: MergeRules) -> MergeRules:
    """Return everything that either demands, and the merge methods that both allow."""
    new, old = vars(now), vars(before)
    lists = {
        name: tuple(dict.fromkeys([*old[name], *new[name]]))
        for name in _LISTS
        if set(old[name]) - set(new[name])
    }
    flags = {name: max(new[name], old[name], key=_rank) for name in _flags(new)}
    methods = tuple(method for method in now.methods if method in before.methods)
    return replace(now, **(flags | lists | {"methods": methods}))


def _flags(rules: Mapping[str, object]) -> list[str]:
    """Return the demands that are met or not, and the count of approvals."""
    return [name for name in rules if name not in (*_LISTS, "methods")]


def _rank(value: bool | int | None) -> int:
    return _RANK[value] if value is None or isinstance(value, bool) else value
