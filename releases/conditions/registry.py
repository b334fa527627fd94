"""The register of conditions.

A new one is one file here with a function under `@condition`, and its line below.
"""

from collections.abc import Callable
from dataclasses import dataclass

from portal.registry import Registry, within

# Of a release, whose row this package does not know. None: it cannot be told.
Rule = Callable[[object], bool | None]


@dataclass(frozen=True)
class Condition:
    """When a checklist item counts: its name in the database, its words, and the rule."""

    name: str
    label: str
    function: Rule


CONDITIONS: Registry[Condition] = Registry(within("releases.conditions", "always", "migrations"))


def condition(label: str) -> Callable[[Rule], Rule]:
    """Register the decorated function (release → whether it holds, None: unknown) under its own
    name.
    """

    def register(function: Rule) -> Rule:
        name = function.__name__
        CONDITIONS.add(name, Condition(name, label, function))
        return function

    return register


def choices() -> list[tuple[str, str]]:
    """Return names and labels, for a field."""
    return [(condition.name, condition.label) for condition in CONDITIONS.values()]


def counts(name: str, release: object) -> bool:
    """Return whether an item of this condition is asked of `release`: unless it is known not to
    hold.
    """
    condition = CONDITIONS.get(name)
    return condition is None or condition.function(release) is not False
