"""The rules a release must satisfy: pure functions `Facts -> Result`, three-valued, never green on what is unknown.

A rule answers `pass` only from rows that are fresh and that say so in words it knows. What is missing, stale,
skipped, unreadable or new to us is `pending` or `fail`; what no machine can see is `attest`: a person signs for it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from releases.gates.approvals import approved, content_digest, fault_of
from releases.gates.branches import back_merged, ci_green, judge_checks, promotion_open, staging_equals_main
from releases.gates.context import Facts
from releases.gates.deployed import (
    environments_coherent,
    environments_coherent_unlisted,
    liveness,
    production_live,
    smoke_green,
    staging_healthy,
    staging_healthy_unlisted,
    staging_smoked,
    staging_smoked_if_tested,
    staging_untested,
)
from releases.gates.merging import merge_allowed, verdict_told
from releases.gates.migrations import migration_risks, migrations_ready, production_at_head, rehearsed, same_databases
from releases.gates.result import ATTEST, FAIL, PASS, PENDING, Result, and_
from releases.models.checklist import ChecklistItem, Phase
from releases.models.promotion import Promotion
from releases.models.releases import ReleaseStatus

__all__ = [
    "ALWAYS", "ATTEST", "ATTESTED", "FAIL", "GATES", "PASS", "PENDING", "Gate", "Line", "Result", "Standing", "and_",
    "approved", "content_digest", "fault_of", "judge_checks", "lines", "liveness", "same_databases", "stand", "verdict",
]  # fmt: skip

Gate = Callable[[Facts], Result]


def not_frozen(facts: Facts) -> Result:
    """No freeze is in force."""
    if facts.freeze:
        return Result(FAIL, f"Promotions are frozen: {facts.freeze}")
    return Result(PASS, "Promotions are not frozen.")


GATES: dict[str, Gate] = {
    "staging_healthy": staging_healthy,
    "staging_smoked": staging_smoked,
    "promotion_open": promotion_open,
    "ci_green": ci_green,
    "merge_allowed": merge_allowed,
    "migrations_ready": migrations_ready,
    "rehearsed": rehearsed,
    "environments_coherent": environments_coherent,
    "production_live": production_live,
    "production_at_head": production_at_head,
    "smoke_green": smoke_green,
    "staging_equals_main": staging_equals_main,
    "back_merged": back_merged,
}
# Those among them that may ask for a person's word: they look at no more than `releases.gates.sign_off` reads.
ATTESTED: dict[str, Callable[[Any], Result]] = {
    "environments_coherent": environments_coherent,
    "rehearsed": rehearsed,
    "smoke_green": smoke_green,
    "staging_smoked": staging_untested,
}
# Asked before every promotion, also when the checklist does not name them.
ALWAYS: dict[str, Gate] = {
    "staging_healthy": staging_healthy_unlisted,
    "environments_coherent": environments_coherent_unlisted,
    "promotion_open": promotion_open,
    "ci_green": ci_green,
    "merge_allowed": merge_allowed,
    "migrations_ready": migrations_ready,
    "migration_risks": migration_risks,
    "staging_smoked": staging_smoked_if_tested,
    "approved": approved,
    "not_frozen": not_frozen,
    "verdict_told": verdict_told,
}


@dataclass(frozen=True)
class Line:
    """A checklist item, or an always-asked gate without one, as it stands now."""

    item: ChecklistItem | None
    gate: str
    text: str
    result: Result

    @property
    def done(self) -> bool:
        return self.result.passed


def lines(facts: Facts, phase: str) -> tuple[Line, ...]:
    """The checklist of one phase with what each line says now, and the always-asked gates it does not name."""
    shown = [item for item in facts.items if item.phase == phase and _counts(item, facts)]
    if phase == Phase.BEFORE and facts.release.merge_commit and facts.promotion:
        return _as_promoted(shown, facts.promotion)
    listed = tuple(Line(item, item.gate, item.text, _item_result(item, facts)) for item in shown)
    if phase != Phase.BEFORE:
        return listed
    named = {item.gate for item in shown}
    rest = {name: gate for name, gate in ALWAYS.items() if name not in named}
    # Rules that ask nothing of this release stay out of sight.
    extra = [(name, gate(facts)) for name, gate in rest.items()]
    return listed + tuple(
        Line(None, name, name.replace("_", " ").capitalize(), result)
        for name, result in extra
        if not result.passed or name == "approved"
    )


def _as_promoted(shown: list[ChecklistItem], promotion: Promotion) -> tuple[Line, ...]:
    """What the lines said when the promotion was started: after the merge they are history, not rules."""
    by_text = {item.text: item for item in shown}
    return tuple(
        Line(
            by_text.get(one["text"]),
            "",
            one["text"],
            Result(one["state"], one["sentence"], (), promotion.created_at),
        )
        for one in promotion.gates
    )


def _counts(item: ChecklistItem, facts: Facts) -> bool:
    return item.condition == "always" or bool(facts.release.migrations or facts.release.migrations_problem)


def _item_result(item: ChecklistItem, facts: Facts) -> Result:
    if not item.gate:
        return _tick_result(item, facts, Result(PENDING, "Waits for a person's tick."))
    gate = GATES.get(item.gate)
    if gate is None:
        return Result(FAIL, f"The checklist names a gate that does not exist: {item.gate}.")
    result = gate(facts)
    return _tick_result(item, facts, result) if result.state == ATTEST else result


def _tick_result(item: ChecklistItem, facts: Facts, otherwise: Result) -> Result:
    if not item.is_ticked or item.ticked_candidate != facts.release.candidate:
        return otherwise
    said = f"{item.ticked_by}: “{item.note}”" if item.note else f"{item.ticked_by}"
    return Result(PASS, said, otherwise.evidence, item.ticked_at)


@dataclass(frozen=True)
class Standing:
    """The whole of a release now: both halves of the checklist and the verdict."""

    before: tuple[Line, ...]
    after: tuple[Line, ...]

    @property
    def missing(self) -> tuple[Line, ...]:
        return tuple(line for line in self.before if not line.done)

    @property
    def ready(self) -> bool:
        return not self.missing

    @property
    def verified(self) -> bool:
        return all(line.done for line in self.after)


def stand(facts: Facts) -> Standing:
    """Where `facts.release` stands."""
    return Standing(lines(facts, Phase.BEFORE), lines(facts, Phase.AFTER))


def verdict(facts: Facts, standing: Standing) -> tuple[str, str]:
    """State and sentence of the commit status for the candidate (GitHub: pending, failure, success)."""
    release = facts.release
    if release.status == ReleaseStatus.ABANDONED:
        return "failure", f"Release {release.name} was abandoned."
    if release.status == ReleaseStatus.ROLLED_BACK:
        return "failure", f"Release {release.name} was rolled back."
    if release.merge_commit:
        return "success", f"Release {release.name} was promoted."
    # That the verdict could not be told is no part of what is told.
    missing = [line for line in standing.missing if line.gate != "verdict_told"]
    failing = [line for line in missing if line.result.state == FAIL]
    if failing:
        return "failure", failing[0].result.sentence
    if missing:
        count = len(missing)
        things = "1 thing stands" if count == 1 else f"{count} things stand"
        return (
            "pending",
            f"{things} between release {release.name} and production. {missing[0].result.sentence}",
        )
    return "success", f"Release {release.name} is ready."
