"""The register of gates.

A new gate is one file here with a function under `@gate`, and its line in `GATES`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from portal.registry import Registry, within
from releases.gates.context import Facts
from releases.gates.result import ATTEST, FAIL, PASS, Result

# Of `Facts`; of `sign_off.SignOffFacts` as well where a person may sign off.
Rule = Callable[[Any], Result]


def _nothing(facts: Facts) -> str:
    return ""


@dataclass(frozen=True)
class Gate:
    """A rule that a release must satisfy, and how it is asked.

    `listed`: a checklist can name it. `always`: asked before every promotion, also where the
    checklist does not name it; `exempt` then tells why it asks nothing of this release ("": it
    does). `sign_off`: where the gate answers *attest*, a person may sign off its checklist item; it
    looks at no more than `sign_off.SignOffFacts` holds.
    """

    name: str
    label: str
    function: Rule
    listed: bool = True
    always: bool = False
    sign_off: bool = False
    exempt: Callable[[Facts], str] = _nothing

    def __call__(self, facts: object) -> Result:
        """Return what the gate says of a release whose checklist names it."""
        return self.function(facts)

    def unlisted(self, facts: Facts) -> Result:
        """Return what it says where no item names it: then there is no place for a signature."""
        if why := self.exempt(facts):
            return Result(PASS, why)
        result = self.function(facts)
        if not self.sign_off or result.state != ATTEST:
            return result
        no_item = "This checklist has no item to confirm that: create the release again."
        return replace(result, state=FAIL, sentence=f"{result.sentence} {no_item}")


# The order is that of the page, and of the sentence that GitHub is told first.
GATES: Registry[Gate] = Registry(
    within(
        "releases.gates",
        "deployed",
        "branches",
        "merging",
        "migrations",
        "rehearsed",
        "smoke",
        "approvals",
        "freezes",
        "carried",
        "posted_verdict",
    )
)


def gate(
    label: str,
    *,
    listed: bool = True,
    always: bool = False,
    sign_off: bool = False,
    exempt: Callable[[Facts], str] = _nothing,
) -> Callable[[Rule], Rule]:
    """Register the decorated function as a gate under its own name; the arguments are those of
    `Gate`.
    """

    def register(function: Rule) -> Rule:
        name = function.__name__
        GATES.add(name, Gate(name, label, function, listed, always, sign_off, exempt))
        return function

    return register
