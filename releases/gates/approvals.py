"""Whose approval of a release counts, and why another one does not."""

from hashlib import sha256

from portal.words import and_, number_of
from releases.gates.context import Facts
from releases.gates.registry import gate
from releases.gates.result import PASS, PENDING, Result
from releases.models.approvals import Approval
from releases.models.releases import Release

NOBODY_ELSE = "No approvals required: one person alone can promote to production."


def content_digest(release: Release) -> str:
    """Return what an approval is bound to, candidate and every new revision file: hex SHA-256."""
    files = [f"{file['id']}={file['sha256']}" for file in release.migrations]
    return sha256("\n".join([release.candidate, *files]).encode()).hexdigest()


def fault_of(approval: Approval, release: Release, content: str) -> str:
    """Return why an approval of the facts does not count now; "" where it does."""
    if approval.content != content:
        return "outdated: new commits"
    if approval.lapsed_at is not None:
        return f"lapsed: {approval.lapsed_why}"
    if not approval.user.is_active or not getattr(approval, "giver_may", False):
        return f"does not count: {approval.user} may no longer approve"
    if approval.user_id == release.cut_by_id:
        return "does not count: given by the person who created the release"
    return ""


@gate("Approved", always=True, listed=False)
def approved(facts: Facts) -> Result:
    """Require that enough people who may, and did not cut the release, signed this content."""
    needed, content = facts.project.required_approvals, content_digest(facts.release)
    judged = [
        (approval, fault_of(approval, facts.release, content)) for approval in facts.approvals
    ]
    counted = [approval for approval, fault in judged if not fault]
    evidence = tuple((str(approval.user), approval.comment or "approved") for approval in counted)
    if len(counted) >= needed:
        people = and_(str(approval.user) for approval in counted)
        return Result(PASS, f"Approved by {people}." if people else NOBODY_ELSE, evidence)
    missing = needed - len(counted)
    past = tuple((str(approval.user), fault) for approval, fault in judged if fault)
    words = f"{number_of(missing, 'approval')} missing."
    if past:
        words += f" That of {past[0][0]} {past[0][1]}."
    return Result(PENDING, words, (*evidence, *past))
