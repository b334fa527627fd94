"""Refuses what comes too late: for another commit than the person saw, or an ended preparation."""

from portal.audit import Actor
from portal.ui.actions import Refused, require_seen
from releases.models.releases import Release, ReleaseStatus


def _as_seen(release: Release, candidate: str | None, actor: Actor) -> None:
    """Refuse another commit than the one on the person's page, or not saying which that was."""
    require_seen(actor, candidate, "candidate")
    if candidate and candidate != release.candidate:
        moved = f"The candidate moved from {candidate[:7]} to {release.candidate[:7]}"
        raise Refused(f"{moved} since you opened this page. Review the changes first.")


def _still_open(release: Release, then: str) -> None:
    """Refuse, in words that end with `then`, where the release is no longer prepared."""
    if release.status != ReleaseStatus.OPEN:
        raise Refused(f"Release {release.name} is {release.get_status_display()}{then}.")
