"""Whether one person alone may deploy the head of production's branch."""

from environments.finding_kinds.out_of_band import BYPASS
from environments.models import Branch, Finding, Project
from portal.audit import Actor
from portal.ui.actions import Refused


def require_shipped(project: Project, branch: Branch, actor: Actor) -> None:
    """Raise `Refused` where the branch's head came around the portal and no second person has
    said that it may stay: a deployment of it would ship what nobody approved.
    """
    if branch.judged != branch.head:
        how = f"How {branch.head[:7]} came to {branch.name}"
        raise Refused(f"{how} is being looked at; try again in a moment.")
    findings = Finding.objects.filter(
        project=project, kind=BYPASS, subject__regex=rf" (to|into) {_literal(branch.name)}$"
    )
    if findings.filter(closed_at=None).exists():
        raise Refused(
            f"{branch.name} holds what came around the portal: somebody resolves that finding"
            " first, and somebody else deploys it."
        )
    since = findings.filter(opened_at__gte=branch.head_at) if branch.head_at else findings
    if actor is not None and since.filter(closed_by=actor.pk).exists():
        raise Refused(
            f"You resolved the finding that {branch.name} was changed around the portal, so"
            " somebody else must deploy it."
        )


def _literal(name: str) -> str:
    """Return a branch's name in a pattern of PostgreSQL."""
    return "".join(char if char.isalnum() else f"\\{char}" for char in name)
