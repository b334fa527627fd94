"""Whose approval of a release counts, and why another one does not."""

from hashlib import sha256

from portal.words import and_
from releases.gates.context import Facts
from releases.gates.registry import gate
from releases.gates.result import PASS, PENDING, Result
from releases.models.approvals import Approval
from releases.models.releases import Release

NOBODY_ELSE = "No approvals required: one person alone can promote to production."


def content_digest(release: Release) -> str:
    """Return what an approval is bound to: the candidate commit and every new revision file, hex
    SHA-256.
    """
    lines_ = [
        release.candidate,
        *(f"{migration['id']}={migration['sha256']}" for migration in release.migrations),
    ]
    return sha256("\n".join(lines_).encode()).hexdigest()


def fault_of(approval: Approval, release: Release, content: str) -> str:
    """Return why an approval does not count now; "" where it does.

    Its `giver_may` comes with the facts.
    """
    if approval.content != content:
        return "outdated: new commits"
    if approval.lapsed_at is not None:
        return f"lapsed: {approval.lapsed_why}"
    if not approval.user.is_active or not getattr(approval, "giver_may", False):
        return f"does not count: {approval.user} may no longer approve"
    return (
        "does not count: given by the person who created the release"
        if approval.user_id == release.cut_by_id
        else ""
    )


@gate("Approved", always=True, listed=False)
def approved(facts: Facts) -> Result:
    """Require that enough people, none of whom cut the release and who all still may, signed
    exactly this content.
    """
    needed, content = facts.project.required_approvals, content_digest(facts.release)
    judged = [
        (approval, fault_of(approval, facts.release, content)) for approval in facts.approvals
    ]
    counted = [one for one, fault in judged if not fault]
    evidence = tuple((str(one.user), one.comment or "approved") for one in counted)
    if len(counted) >= needed:
        message = (
            f"Approved by {and_(str(one.user) for one in counted)}." if counted else NOBODY_ELSE
        )
        return Result(PASS, message, evidence)
    missing = needed - len(counted)
    past = tuple((str(one.user), fault) for one, fault in judged if fault)
    words = f"{missing} approval{'s' if missing > 1 else ''} missing."
    if past:
        words += f" That of {past[0][0]} {past[0][1]}."
    return Result(PENDING, words, (*evidence, *past))
