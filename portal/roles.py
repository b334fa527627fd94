"""Who may do what: the portal's groups and their permissions, as data.

People get a role by being put into its group; a permission given here is what an action asks for.
"""

from django.contrib.auth.models import Group, Permission
from django.db import transaction

_SEE = (
    "portal.view_auditevent",
    "portal.view_webhookdelivery",
    *(f"environments.view_{name}" for name in ("project", "environment", "service", "serviceinstance")),
    *(f"environments.view_{name}" for name in ("deployment", "preview", "migrationrun", "finding")),
    *(f"releases.view_{name}" for name in ("release", "pullrequest", "checkrun", "checklisttemplate")),
    *(f"releases.view_{name}" for name in ("checklistitem", "approval", "promotion", "rollback", "freeze")),
)
_CONFIGURE = tuple(
    f"{model.replace('.', f'.{verb}_')}"
    for model in ("environments.project", "environments.environment", "environments.service")
    for verb in ("add", "change", "delete")
)

ROLES: dict[str, tuple[str, ...]] = {
    "Release managers": (
        *_SEE,
        "releases.cut_release",
        "releases.tick_checklistitem",
        "releases.promote_release",
        "releases.abandon_release",
        "releases.repair_release",
        "environments.migrate_environment",
        "environments.repair_environment",
        "environments.manage_preview",
        "environments.resolve_finding",
    ),
    "Approvers": (*_SEE, "releases.approve_release", "releases.tick_checklistitem"),
    "Auditors": _SEE,
    "Administrators": (
        *_SEE,
        *_CONFIGURE,
        "auth.add_user",
        "auth.change_user",
        "auth.view_user",
        "auth.view_group",
        "portal.add_credential",
        "portal.change_credential",
        "portal.delete_credential",
        "portal.view_credential",
        "releases.add_checklisttemplate",
        "releases.change_checklisttemplate",
        "releases.delete_checklisttemplate",
        "releases.add_freeze",
        "releases.change_freeze",
        "releases.delete_freeze",
    ),
}


def ensure() -> None:
    """Makes each group and gives it exactly its permissions; those that do not exist yet are left out.

    May run at any time and any number of times, after permissions were made (`migrate`). A role's own
    permissions are put back when somebody changed them; who is in a group is left alone.
    """
    known = {
        f"{permission.content_type.app_label}.{permission.codename}": permission
        for permission in Permission.objects.select_related("content_type")
    }
    with transaction.atomic():
        for name, permissions in ROLES.items():
            group, _ = Group.objects.get_or_create(name=name)
            group.permissions.set([known[permission] for permission in permissions if permission in known])
