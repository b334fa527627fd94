"""Who may do what: four roles, as data. Administrators come on top of it: they may configure, not decide."""

from django.contrib.auth.models import Group, Permission
from django.db import transaction

from portal.audit import row_changes

_SEE = (
    "environments.view_project",
    "environments.view_environment",
    "environments.view_finding",
    "environments.view_migrationrun",
    "environments.view_rehearsal",
    "releases.view_release",
    "releases.view_promotion",
    "releases.view_rollback",
    "releases.view_pullrequest",
    "releases.view_tasklog",
    "portal.view_auditevent",
    "portal.view_configurationchange",
)

# Role: permissions by name. One whose model does not exist yet is left out until it does.
ROLES: dict[str, tuple[str, ...]] = {
    "Release managers": (
        *_SEE,
        "releases.cut_release",
        "releases.tick_checklistitem",
        "releases.promote_release",
        "releases.abandon_release",
        "releases.repair_release",
        "releases.freeze_project",
        "releases.manage_channels",
        "releases.roll_back_release",
        "releases.write_tasklog",
        "environments.migrate_environment",
        "environments.repair_environment",
        "environments.place_service",
        "environments.manage_preview",
        "environments.resolve_finding",
        "environments.protect_branch",
        "environments.check_connections",
        "environments.sign_reset",
    ),
    "Approvers": (
        *_SEE,
        "releases.approve_release",
        "releases.tick_checklistitem",
        "releases.write_tasklog",
        "environments.sign_reset",
        "portal.confirm_configurationchange",
    ),
    # Everything, and nothing but looking.
    "Auditors": (
        *_SEE,
        "environments.view_database",
        "environments.view_deployment",
        "environments.view_deploykey",
        "environments.view_environmentdatabase",
        "environments.view_service",
        "environments.view_serviceinstance",
        "environments.view_smoketest",
        "environments.view_variablerule",
        "releases.view_checklisttemplate",
        "releases.view_checklisttemplateitem",
        "releases.view_freeze",
        "releases.view_promotionstep",
        "releases.view_rollbackstep",
        "auth.view_user",
        "auth.view_group",
        "portal.view_webhookdelivery",
    ),
    "Administrators": (
        *_SEE,
        "environments.add_project",
        "environments.change_project",
        "environments.view_database",
        "environments.add_database",
        "environments.change_database",
        "environments.delete_database",
        "environments.view_environmentdatabase",
        "environments.change_environmentdatabase",
        "environments.place_service",
        "environments.view_deploykey",
        "environments.add_deploykey",
        "environments.change_deploykey",
        "environments.delete_deploykey",
        "environments.add_smoketest",
        "environments.change_smoketest",
        "environments.delete_smoketest",
        "environments.check_connections",
        "environments.view_variablerule",
        "environments.add_variablerule",
        "environments.change_variablerule",
        "environments.delete_variablerule",
        "releases.manage_channels",
        "releases.add_checklisttemplate",
        "releases.change_checklisttemplate",
        "releases.delete_checklisttemplate",
        "auth.add_user",
        "auth.change_user",
        "auth.view_user",
        "auth.view_group",
        "portal.confirm_configurationchange",
        "portal.view_webhookdelivery",
    ),
}


@transaction.atomic
def ensure() -> None:
    """Makes the groups and gives them exactly these permissions, as far as they exist.

    They come with the tables; whatever is changed of them afterwards is an event.
    """
    shipped = not Group.objects.filter(name__in=ROLES).exists()
    known = {
        f"{one.content_type.app_label}.{one.codename}": one for one in Permission.objects.select_related("content_type")
    }
    for name, codes in ROLES.items():
        group, created = Group.objects.get_or_create(name=name)
        before = {} if created else row_changes.stored(group)
        group.permissions.set([known[code] for code in codes if code in known])
        if not shipped:
            row_changes.record(group, before, row_changes.stored(group), actor=None, by="as the portal ships it")
