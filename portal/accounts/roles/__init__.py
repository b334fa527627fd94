"""Who may do what: one file for each role.

Administrators may configure, not decide. Start in `registry`.
"""

from django.contrib.auth.models import Group, Permission
from django.db import transaction

from portal.accounts.roles.registry import ROLES, Role
from portal.audit import row_changes

__all__ = ["ROLES", "Role", "ensure"]


@transaction.atomic
def ensure() -> None:
    """Make a group of each role and give it exactly its permissions, as far as they exist.

    They come with the tables; whatever is changed of them afterwards is an event.
    """
    shipped = not Group.objects.filter(name__in=list(ROLES)).exists()
    known = {
        f"{object_.content_type.app_label}.{object_.codename}": object_
        for object_ in Permission.objects.select_related("content_type")
    }
    for name, role in ROLES.items():
        group, created = Group.objects.get_or_create(name=name)
        before = {} if created else row_changes.stored(group)
        group.permissions.set([known[code] for code in role.permissions if code in known])
        if not shipped:
            row_changes.record(
                group, before, row_changes.stored(group), actor=None, by="as the portal ships it"
            )
