"""Actions that request a repair of one service."""

from datetime import datetime

from environments.findings.repair_queue import _is_there, _repair
from environments.models import Branch, EnvironmentKind, Repair, RepairKind, ServiceInstance
from environments.repairs.shipped_head import require_shipped
from environments.services.expected import expected_branches
from portal.audit import Actor
from portal.ui.actions import Refused, action


@action("branch.repair_requested", "environments.repair_environment")
def repair_branch(
    instance: ServiceInstance, *, actor: Actor, wanted: str, now: datetime | None = None
) -> Repair:
    """Ask for `instance` to follow the branch `wanted`, which the person confirmed."""
    _is_there(instance)
    project = instance.service.project
    expected = expected_branches(project).get(instance.environment.kind)
    if not expected:
        raise Refused(
            f"No branch is expected in {instance.environment}, so there is nothing to repair."
        )
    if wanted != expected:
        raise Refused(f"{instance} should follow {expected}, not {wanted}. Reload the page.")
    if instance.repository.lower() != project.repository.lower():
        raise Refused(f"{instance} is not built from {project.repository}: connect it in Railway.")
    if instance.branch == expected:
        raise Refused(f"{instance} already follows {expected}.")
    message = f"Let {instance} follow {expected} instead of {instance.branch or 'no branch'}."
    what = (project, RepairKind.BRANCH, "branch.repair_requested", message)
    return _repair(*what, actor=actor, now=now, instance=instance, wanted=expected)


@action("push.repair_requested", "environments.repair_environment")
def switch_push_on(
    instance: ServiceInstance, *, actor: Actor, now: datetime | None = None
) -> Repair:
    """Ask for a push to deploy `instance` again."""
    _is_there(instance)
    if instance.environment.kind not in expected_branches(instance.service.project):
        raise Refused(
            f"{instance.environment} is neither staging nor production, so the portal leaves it "
            "unchanged."
        )
    if instance.autodeploy:
        raise Refused(f"{instance} is deployed on push already.")
    message = f"Let a push to {instance.branch or 'its branch'} deploy {instance}."
    what = (instance.service.project, RepairKind.PUSH, "push.repair_requested", message)
    return _repair(*what, actor=actor, now=now, instance=instance, wanted="on")


@action("deploy.requested", "environments.repair_environment")
def deploy_head(
    instance: ServiceInstance, *, actor: Actor, commit: str, now: datetime | None = None
) -> Repair:
    """Ask for the head of the branch that `instance` follows to be deployed there; `commit` was
    confirmed. In production not what came around the portal, unless two people stand for it.
    """
    _is_there(instance)
    project = instance.service.project
    if instance.branch != expected_branches(project).get(instance.environment.kind):
        raise Refused(f"{instance} follows the wrong branch. Repair that first.")
    branch = Branch.objects.filter(project=project, name=instance.branch).first()
    head = branch.head if branch else ""
    if branch is None or not head or commit != head:
        raise Refused(
            f"{instance.branch} is not at {commit[:7] or 'that commit'} (any more). Reload the "
            "page."
        )
    if instance.environment.kind == EnvironmentKind.PRODUCTION:
        require_shipped(project, branch, actor)
    message = f"Deploy {head[:7]}, the head of {instance.branch}, on {instance}."
    what = (project, RepairKind.DEPLOY, "deploy.requested", message)
    return _repair(*what, actor=actor, now=now, instance=instance, wanted=head)
