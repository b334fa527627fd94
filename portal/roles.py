"""Who may do what: four roles, as data."""

from django.contrib.auth.models import Group, Permission

ROLES: dict[str, tuple[str, ...]] = {
    "Release managers": (
        "releases.cut_release",
        "releases.tick_checklistitem",
        "releases.promote_release",
        "releases.abandon_release",
        "releases.repair_release",
        "environments.migrate_environment",
        "environments.repair_environment",
        "environments.resolve_finding",
        "portal.view_auditevent",
    ),
    "Approvers": ("releases.approve_release", "releases.tick_checklistitem", "portal.view_auditevent"),
    "Auditors": ("portal.view_auditevent", "portal.view_webhookdelivery", "releases.view_release"),
    "Administrators": (),
}


def ensure() -> None:
    """Makes the groups and gives them exactly these permissions, as far as they exist."""
    known = {
        f"{one.content_type.app_label}.{one.codename}": one
        for one in Permission.objects.select_related("content_type")
    }
    for name, codes in ROLES.items():
        group, _ = Group.objects.get_or_create(name=name)
        group.permissions.set([known[code] for code in codes if code in known])
