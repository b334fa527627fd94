"""What became of a release that ended: superseded, rolled back, or live in production."""

from dataclasses import dataclass

from django.utils import timezone

from releases import gates
from releases.gates.context import Facts
from releases.models.approvals import Approval
from releases.models.releases import Release, ReleaseStatus
from releases.pages.checklist_rows import ENDED
from releases.pages.release import Now
from releases.rollback.rolled_back import RolledBack, into_production, rolled_back, with_reverts


@dataclass(frozen=True)
class Past:
    """How a release relates to those that were merged after it."""

    superseded: Release | None = None
    rolled: RolledBack | None = None
    is_record: bool = False  # its page tells what was, and nothing of now

    @property
    def is_opening(self) -> bool:
        """Whether a revert is being opened, so that the page looks often."""
        return bool(self.rolled and self.rolled.opening and self.rolled.opening.is_open)


def past(facts: Facts) -> Past:
    """Return what is past of a release that was read for its page: one query where another was
    merged after it, two where it was rolled back.
    """
    release = facts.release
    if not release.merge_commit and release.status not in ENDED:
        return Past()
    last: int | None = getattr(release, "last_merged", None)
    if last != release.pk:
        superseded = last is not None and bool(release.merge_commit)
        later = Release.objects.only("name").get(pk=last or 0) if superseded else None
        return Past(later, is_record=release.status in ENDED)
    rolled = rolled_back(release, facts.in_production, facts.production_head)
    if rolled is None:
        return Past()
    [known] = with_reverts([rolled], into_production().filter(project=release.project))
    return Past(rolled=known)


def now(facts: Facts, known: Past) -> Now | None:
    """Return the sentence at the top of the page of a release that ended or was superseded; else
    None.
    """
    release = facts.release
    by = f"Superseded by {known.superseded}." if known.superseded else ""
    if release.status == ReleaseStatus.ROLLED_BACK:
        return Now("skipped", "This release was rolled back.", (by,) if by else ())
    if release.status == ReleaseStatus.DONE:
        return Now("closed" if by else "pass", by or "This release is done.", _done(facts))
    if release.status == ReleaseStatus.VERIFYING and by:
        return Now("attest", by, ("Items after promotion were not all confirmed before.",))
    return None


def _done(facts: Facts) -> tuple[str, ...]:
    release = facts.release
    at = timezone.localtime(release.ended_at) if release.ended_at else None
    kept = release.record.get("after")
    left = sum(row["state"] != gates.PASS for row in kept or ())
    if left:
        return (
            f"It ended with {left} item{'' if left == 1 else 's'} after promotion not confirmed.",
        )
    when = f" at {at:%H:%M} on {at.day} {at:%b %Y} ({at.tzname()})" if at else ""
    return (f"Everything after promotion was green{when}.",)


def approvals(facts: Facts, content: str) -> list[tuple[Approval, str]]:
    """Return each approval with why it does not count, as it was when the release ended."""
    kept = facts.release.record.get("faults")
    if kept is None:
        return [
            (approval, gates.fault_of(approval, facts.release, content))
            for approval in facts.approvals
        ]
    return [(approval, kept.get(str(approval.pk), "")) for approval in facts.approvals]
