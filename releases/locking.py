"""Refuses what is done to another commit than the one on the person's page."""

from portal.audit import Actor
from portal.ui.actions import Refused, require_seen
from releases.models.releases import Release


def _as_seen(release: Release, candidate: str | None, actor: Actor) -> None:
    """Refuse what is done to another commit than the one on the person's page, or without saying
    which that was.
    """
    require_seen(actor, candidate, "candidate")
    if candidate and candidate != release.candidate:
        moved = (
            f"The candidate moved from {candidate[:7]} to {release.candidate[:7]} since you opened"
            " this page"
        )
        raise Refused(f"{moved}. Review the changes first.")
