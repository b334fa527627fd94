"""The readiness of a release: what gates and checklist say now, and the verdict for GitHub."""

from dataclasses import dataclass
from typing import TypedDict

from django.utils.dateparse import parse_datetime

from portal.words import number_of
from releases.conditions.registry import counts
from releases.gates.context import Facts
from releases.gates.registry import GATES
from releases.gates.result import ATTEST, FAIL, PASS, PENDING, Result
from releases.models.checklist import ChecklistItem, Phase
from releases.models.promotion import Promotion
from releases.models.releases import ReleaseStatus


@dataclass(frozen=True)
class ChecklistLine:
    """A checklist item, or an always-asked gate without one, as it stands now."""

    item: ChecklistItem | None
    gate: str
    text: str
    result: Result

    @property
    def done(self) -> bool:
        return self.result.passed


class Recorded(TypedDict):
    """A line as `Release.record` keeps it."""

    item: int | None
    text: str
    gate: str
    state: str
    sentence: str
    evidence: list[list[str]]
    at: str | None


def lines(facts: Facts, phase: str) -> tuple[ChecklistLine, ...]:
    """Return the checklist of one phase as it stands, and the always-asked gates it leaves out."""
    if (kept := facts.release.record.get(phase)) is not None:
        return _as_recorded(kept, facts)
    shown = [
        item
        for item in facts.items
        if item.phase == phase and counts(item.condition, facts.release)
    ]
    if phase == Phase.BEFORE and facts.release.merge_commit and facts.promotion:
        return _as_promoted(shown, facts.promotion)
    listed = tuple(
        ChecklistLine(item, item.gate, item.text, _item_result(item, facts)) for item in shown
    )
    if phase != Phase.BEFORE:
        return listed
    named = {item.gate for item in shown}
    rest = [gate for gate in GATES.values() if gate.always and gate.name not in named]
    extra = [ChecklistLine(None, gate.name, gate.label, gate.unlisted(facts)) for gate in rest]
    # Rules that ask nothing of this release stay out of sight.
    return listed + tuple(line for line in extra if not line.done or line.gate == "approved")


def _as_recorded(kept: list[Recorded], facts: Facts) -> tuple[ChecklistLine, ...]:
    """Return what the lines said when the release ended."""
    items = {item.pk: item for item in facts.items}

    def result(row: Recorded) -> Result:
        evidence = tuple((label, sentence) for label, sentence in row["evidence"])
        at = parse_datetime(row["at"]) if row["at"] else None
        return Result(row["state"], row["sentence"], evidence, at)

    return tuple(
        ChecklistLine(items.get(row["item"] or 0), row["gate"], row["text"], result(row))
        for row in kept
    )


def _as_promoted(shown: list[ChecklistItem], promotion: Promotion) -> tuple[ChecklistLine, ...]:
    """Return what the lines said as the promotion started: after the merge they are history."""
    items, at = {item.pk: item for item in shown}, promotion.created_at
    return tuple(
        ChecklistLine(
            items.get(gate.get("item")),
            "",
            gate["text"],
            Result(gate["state"], gate["sentence"], (), at),
        )
        for gate in promotion.gates
    )


def _item_result(item: ChecklistItem, facts: Facts) -> Result:
    if not item.gate:
        return _tick_result(item, facts, Result(PENDING, "Not confirmed"))
    gate = GATES.get(item.gate)
    if gate is None or not gate.listed:
        return Result(FAIL, f"The checklist names an unknown gate: {item.gate}.")
    result = gate(facts)
    return _tick_result(item, facts, result) if result.state == ATTEST else result


def _tick_result(item: ChecklistItem, facts: Facts, otherwise: Result) -> Result:
    if not item.is_ticked or item.ticked_candidate != facts.release.candidate:
        return otherwise
    message = f"{item.ticked_by}: “{item.note}”" if item.note else f"{item.ticked_by}"
    return Result(PASS, message, otherwise.evidence, item.ticked_at)


@dataclass(frozen=True)
class Readiness:
    """The whole of a release now: both halves of the checklist and the verdict."""

    before: tuple[ChecklistLine, ...]
    after: tuple[ChecklistLine, ...]

    @property
    def missing(self) -> tuple[ChecklistLine, ...]:
        return tuple(line for line in self.before if not line.done)

    @property
    def in_the_way(self) -> tuple[ChecklistLine, ...]:
        """What a refusal names: what failed, since the rest may wait for that; else all missing."""
        return tuple(line for line in self.missing if line.result.state == FAIL) or self.missing

    @property
    def ready(self) -> bool:
        return not self.missing

    @property
    def verified(self) -> bool:
        return all(line.done for line in self.after)


def readiness_of(facts: Facts) -> Readiness:
    """Return where `facts.release` stands."""
    return Readiness(lines(facts, Phase.BEFORE), lines(facts, Phase.AFTER))


def verdict(facts: Facts, readiness: Readiness) -> tuple[str, str]:
    """Return state (pending, failure, success) and sentence of the candidate's commit status."""
    release = facts.release
    if release.status in (ReleaseStatus.ABANDONED, ReleaseStatus.ROLLED_BACK):
        return "failure", f"Release {release.name} was {release.get_status_display()}."
    if release.merge_commit:
        return "success", f"Release {release.name} was promoted."
    line, missing = decisive(readiness), _told(readiness)
    if line is None:
        return "success", f"Release {release.name} is ready."
    if line.result.state == FAIL:
        return "failure", line.result.sentence
    checks = number_of(len(missing), "check")
    return "pending", f"{checks} left before promotion of {release.name}. {line.result.sentence}"


def decisive(readiness: Readiness) -> ChecklistLine | None:
    """Return the line that the verdict is about: the first that fails, else the first missing."""
    return min(_told(readiness), key=lambda line: line.result.state != FAIL, default=None)


def _told(readiness: Readiness) -> list[ChecklistLine]:
    """Return what is missing. That the verdict could not be told is no part of what is told."""
    return [line for line in readiness.missing if line.gate != "verdict_told"]
