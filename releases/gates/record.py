"""The record of a release that has ended: stored once, and never evaluated again."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TypedDict

from portal.outbound.parsing import JsonObject
from releases.gates.approvals import content_digest, fault_of
from releases.gates.context import Facts, facts_of
from releases.gates.plan import words_on
from releases.gates.readiness import ChecklistLine, Recorded, readiness_of
from releases.models.releases import Release


class ShippedPull(TypedDict):
    """A pull request of a release, as its page names it."""

    number: int
    title: str
    author: str
    url: str


def keep(release: Release, *, now: datetime, superseded_by: str = "") -> None:
    """Write down what the checklist and the approvals of `release` say as it ends."""
    facts = facts_of(release.pk, now=now)
    readiness, content = readiness_of(facts), content_digest(facts.release)
    accepted, lapsed = words_on(facts.release)
    release.record = {
        "at": now.isoformat(),
        "before": [_row(line) for line in readiness.before],
        "after": [_row(line) for line in readiness.after],
        "required_approvals": facts.project.required_approvals,
        "faults": {
            str(approval.pk): fault_of(approval, facts.release, content)
            for approval in facts.approvals
        },
        "superseded_by": superseded_by,
        "accepted": _of_its_files(accepted, release),
        "lapsed": _of_its_files(lapsed, release),
        "databases": {str(database.database.pk): database.called for database in facts.databases},
        "pulls": pulls(facts),
        "rehearsals": facts.release.rehearsal_rows,
    }
    Release.objects.filter(pk=release.pk).update(record=release.record)


def pulls(facts: Facts) -> Sequence[ShippedPull]:
    """Return the pull requests that the release ships, newest first; a hotfix is one itself."""
    if (kept := facts.release.record.get("pulls")) is not None:
        return kept
    own = [facts.promotion_pull] if facts.release.is_hotfix and facts.promotion_pull else []
    return [
        ShippedPull(number=pull.number, title=pull.title, author=pull.author, url=pull.url)
        for pull in (*own, *facts.pulls)
    ]


def _of_its_files(words: Iterable[JsonObject], release: Release) -> list[JsonObject]:
    files = {file["sha256"] for file in (*release.migrations, *release.edits)}
    return [word for word in words if word["sha256"] in files]


def _row(line: ChecklistLine) -> Recorded:
    seen = line.result.seen_at
    return {
        "item": line.item.pk if line.item else None,
        "text": line.text,
        "gate": line.gate,
        "state": line.result.state,
        "sentence": line.result.sentence,
        "evidence": [list(pair) for pair in line.result.evidence],
        "at": seen.isoformat() if seen else None,
    }
