"""What stands on the page of a release that has ended: written down once, and never asked again."""

from datetime import datetime

from releases.gates.approvals import content_digest, fault_of
from releases.gates.context import facts_of
from releases.gates.readiness import Line, Recorded, stand
from releases.models.releases import Release


def keep(release: Release, *, now: datetime, superseded_by: str = "") -> None:
    """Write down what the checklist and the approvals of `release` say as it ends."""
    facts = facts_of(release.pk, now=now)
    standing, content = stand(facts), content_digest(facts.release)
    release.record = {
        "at": now.isoformat(),
        "before": [_row(line) for line in standing.before],
        "after": [_row(line) for line in standing.after],
        "required_approvals": facts.project.required_approvals,
        "faults": {str(one.pk): fault_of(one, facts.release, content) for one in facts.approvals},
        "superseded_by": superseded_by,
    }
    Release.objects.filter(pk=release.pk).update(record=release.record)


def _row(line: Line) -> Recorded:
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
