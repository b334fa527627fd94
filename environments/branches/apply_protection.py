"""What *Apply* changes of a branch's protection, and why it would lock somebody out."""

import json
from hashlib import sha256

from environments.branches import protection_rules
from environments.github import classic_settings
from environments.models import BranchProtection, Project


def changes(
    project: Project, branch: str, row: BranchProtection
) -> list[tuple[str, str, str]] | None:
    """Return (setting, now, then) of all that would change; None: what is there is not known."""
    if row.settings is None:
        return None
    body = protection_rules.body_for(project, branch)
    source = [line for line in row.lines if line["key"] == "source" and line["state"] != "pass"]
    return [
        *classic_settings.differences(row.settings, classic_settings.in_words(body)),
        *((line["rule"], line["actual"], line["wanted"]) for line in source),
    ]


def digest(project: Project, branch: str, row: BranchProtection) -> str:
    """Return what stands for all that a person sees before they apply it."""
    shown = [changes(project, branch, row), protection_rules.body_for(project, branch)]
    return sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()[:32]


def proposed(project: Project, rows: dict[str, BranchProtection]) -> list[tuple[str, list[str]]]:
    """Return (check, branches into which changes ran it) of each that ran, or is required now."""
    ran = {branch: set(row.ran or ()) for branch, row in rows.items()}
    names = set(project.protected_checks).union(*ran.values())
    return [(name, [branch for branch in ran if name in ran[branch]]) for name in sorted(names)]


def too_few(project: Project, branch: str, members: frozenset[str]) -> str:
    """Return why nobody could give the approvals that `branch` would require; "" when `members`,
    who opened or reviewed pull requests lately, are enough.
    """
    needed = project.protected_approvals
    if len(members) > needed or not needed:
        return ""
    approvals = "1 approval" if needed == 1 else f"{needed} approvals"
    who = f"only {', '.join(sorted(members))}" if members else "nobody"
    return (
        f"Nothing was changed: {branch} would require {approvals}, nobody approves their own pull"
        f" request, and {who} opened or reviewed one lately. Under Required, set approvals to"
        f" {max(0, len(members) - 1)}, or have somebody else review a pull request first."
    )


def lockout(project: Project, branch: str, row: BranchProtection) -> str:
    """Return why protecting `branch` so would stop the team or the portal; "" when it would not."""
    if branch == project.staging_branch and project.protected_approvals and not project.portal_app:
        return (
            f"Nothing was changed: {branch} would require pull requests, and the portal could "
            "not fast-forward it. Set the portal's App under Required first."
        )
    if row.settings is None:
        why = row.problems[0] if row.problems else "Look at the token's permissions."
        return f"Nothing was changed, for it is not known what {branch} would lose. {why}"
    if row.ran is None:
        return (
            "Nothing was changed: the token may not read checks, so it is not known whether those"
            f" to be required ever run on changes into {branch}."
            if project.protected_checks
            else ""
        )
    never = sorted(set(project.protected_checks) - set(row.ran))
    if not never:
        return ""
    return (
        f"Nothing was changed: {', '.join(never)} never ran on what is merged into {branch}, and"
        f" requiring it would stop every merge. Checks that ran: {', '.join(row.ran) or 'none'}."
    )
