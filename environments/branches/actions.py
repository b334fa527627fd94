"""What people request for the long-lived branches: sync, reset, back-merge, protection."""

from collections.abc import Sequence
from datetime import datetime

from django.contrib.auth.models import User
from django.utils import timezone

from environments.branches import apply_protection, protection, protection_rules
from environments.findings.repair_queue import _repair
from environments.models import Branch, BranchProtection, Project, Repair, RepairKind, StagingReset
from portal import audit
from portal.audit import Actor
from portal.configuration.actions import propose
from portal.configuration.signing import require as require_signer
from portal.models.configuration import ConfigurationChange
from portal.ui.actions import Refused, action, refuse_second, require_reason


@action("staging.sync_requested", "environments.repair_environment")
def sync_staging(project: Project, *, actor: Actor, now: datetime | None = None) -> Repair:
    """Ask for staging to be brought level with main: by a fast-forward, or not at all."""
    message = f"Bring {project.staging_branch} level with {project.production_branch}."
    return _repair(
        project, RepairKind.SYNC_STAGING, "staging.sync_requested", message, actor=actor, now=now
    )


@action("back_merge.requested", "environments.repair_environment")
def open_back_merge(project: Project, *, actor: Actor, now: datetime | None = None) -> Repair:
    """Ask for a pull request that merges main back into staging; one that is open already is
    found.
    """
    message = f"Open a pull request from {project.production_branch} into {project.staging_branch}."
    return _repair(
        project, RepairKind.BACK_MERGE, "back_merge.requested", message, actor=actor, now=now
    )


@action("staging.reset_requested", "environments.repair_environment", guarded=True)
def request_reset(
    project: Project,
    *,
    actor: Actor,
    staging: str,
    main: str,
    reason: str,
    now: datetime | None = None,
) -> StagingReset:
    """Ask for staging to be reset to main, which both hold the same files; a second person must
    sign it.

    `staging` and `main` are the heads that the person had before them.
    """
    now = now or timezone.now()
    require_reason(reason)
    if actor is None:
        raise Refused("Only a person can request a reset.")
    _resettable(project, staging, main)
    # One for other heads can no longer be carried out; close it, so that another can be requested.
    StagingReset.objects.filter(project=project, closed_at=None).exclude(
        staging_head=staging, main_head=main
    ).update(closed_at=now)
    with refuse_second("This reset is already requested. A second person can sign it."):
        row = StagingReset.objects.create(
            project=project,
            staging_head=staging,
            main_head=main,
            reason=reason.strip()[:2000],
            requested_by=actor,
            requested_at=now,
        )
    message = (
        f"Reset {project.staging_branch} from {staging[:7]} to {main[:7]}: “{reason.strip()[:500]}”"
    )
    audit.record(
        "staging.reset_requested",
        actor=actor,
        subject=row,
        sentence=message,
        data=_heads(row),
        now=now,
    )
    return row


@action("staging.reset_signed", "environments.sign_reset", guarded=True)
def sign_reset(
    reset: StagingReset, *, actor: Actor, staging: str, main: str, now: datetime | None = None
) -> Repair:
    """Record the second person's word for exactly these heads; the worker then looks once more, and
    resets.
    """
    now = now or timezone.now()
    row = (
        StagingReset.objects.select_for_update(of=("self",))
        .select_related("project")
        .get(pk=reset.pk)
    )
    project = row.project
    if row.closed_at is not None:
        raise Refused("This reset was already signed or withdrawn.")
    if actor is None or actor.pk == row.requested_by_id:
        raise Refused("You requested this reset, so a second person must sign it.")
    require_signer(actor, "environments.sign_reset")
    if (staging, main) != (row.staging_head, row.main_head):
        raise Refused("The reset has changed since you opened this page. Reload it.")
    _resettable(project, staging, main)
    message = (
        f"Signed: {project.staging_branch} is reset from {row.staging_head[:7]} to"
        f" {row.main_head[:7]}."
    )
    repair = _repair(
        project,
        RepairKind.RESET,
        "staging.reset_signed",
        message,
        actor=actor,
        now=now,
        wanted=row.main_head,
        before=row.staging_head,
    )
    StagingReset.objects.filter(pk=row.pk).update(signed_by=actor, closed_at=now, repair=repair)
    return repair


@action("staging.reset_taken_back", "environments.repair_environment")
def take_reset_back(reset: StagingReset, *, actor: Actor, now: datetime | None = None) -> None:
    """Give up a reset that nobody has signed."""
    now = now or timezone.now()
    if not StagingReset.objects.filter(pk=reset.pk, closed_at=None).update(closed_at=now):
        raise Refused("This reset was already signed or withdrawn.")
    message = f"{reset.project.staging_branch} is not reset."
    audit.record(
        "staging.reset_taken_back",
        actor=actor,
        subject=reset,
        sentence=message,
        data=_heads(reset),
        now=now,
    )


def _resettable(project: Project, staging: str, main: str) -> None:
    """Refuse unless the newest look at both branches found them apart with the same files, and they
    stand there.
    """
    seen = Repair.objects.filter(project=project, kind=RepairKind.SYNC_STAGING).first()
    if (
        seen is None
        or seen.is_open
        or not seen.before
        or (seen.before, seen.wanted) != (staging, main)
    ):
        both = f"{project.staging_branch} and {project.production_branch}"
        raise Refused(
            f"Sync staging first: only when {both} hold the same files can one be reset to the"
            " other."
        )
    heads = Branch.heads(project)
    for name, was in ((project.staging_branch, staging), (project.production_branch, main)):
        if heads.get(name) != was:
            raise Refused(f"{name} is no longer at {was[:7]}. Sync staging again and check.")


def _heads(row: StagingReset) -> dict[str, str]:
    return {"staging": row.staging_head, "main": row.main_head}


@action("protection.requested", "environments.protect_branch")
def protect_branch(
    project: Project,
    *,
    actor: Actor,
    branch: str,
    seen: str | None = None,
    now: datetime | None = None,
) -> Repair:
    """Request that a long-lived branch is protected as the policy says; its rulesets stay as
    they are.

    `seen`: `applying.digest` of the changes that the person had before them.
    """
    if branch not in protection.branches(project):
        raise Refused(f"{branch[:100] or 'That'} is not a long-lived branch of {project}.")
    row = BranchProtection.objects.filter(project=project, branch=branch).first()
    shown = apply_protection.digest(project, branch, row) if row else ""
    if seen is not None and (not shown or seen != shown):
        raise Refused(
            f"The rules of {branch} or the required settings changed since you looked. Look"
            " again, then apply."
        )
    message = (
        f"Protect {branch}: changes only by pull request, with"
        f" {', '.join(protection_rules.wanted_checks(project, branch))}."
    )
    return _repair(
        project,
        RepairKind.PROTECT,
        "protection.requested",
        message,
        actor=actor,
        now=now,
        subject=branch,
        wanted=shown,
    )


@action("configuration.proposed", "environments.change_project")
def require_of_branches(
    project: Project,
    *,
    actor: User,
    checks: Sequence[str],
    approvals: int,
    portal_app: str,
    now: datetime | None = None,
) -> ConfigurationChange | None:
    """Propose what both long-lived branches are to require, of the checks that ran on both.

    Return the proposal, applied where one person is enough; None where nothing differs.
    """
    project = Project.objects.select_for_update().get(pk=project.pk)
    rows = {row.branch: row for row in BranchProtection.objects.filter(project=project)}
    for branch in protection.branches(project):
        ran = rows[branch].ran if branch in rows else None
        chosen = set(checks) - set(project.protected_checks)
        if chosen and ran is None:
            raise Refused(f"It is not known yet which checks run on changes into {branch}.")
        if never := sorted(chosen - set(ran or ())):
            raise Refused(
                f"{', '.join(never)[:300]} never ran on what is merged into {branch}, so requiring"
                " it would stop every merge."
            )
    values = {
        "protected_checks": sorted(set(checks)),
        "protected_approvals": approvals,
        "portal_app": portal_app,
    }
    return propose(project, actor=actor, values=values, now=now)


@action("keep_heads.requested", "environments.protect_branch")
def keep_heads(project: Project, *, actor: Actor, now: datetime | None = None) -> Repair:
    """Ask for *Automatically delete head branches* to be switched off: it would delete staging at
    the merge.
    """
    message = f"Switch off Automatically delete head branches in {project.repository}."
    return _repair(
        project,
        RepairKind.KEEP_HEADS,
        "keep_heads.requested",
        message,
        actor=actor,
        now=now,
        subject=project.repository,
        wanted="off",
    )
