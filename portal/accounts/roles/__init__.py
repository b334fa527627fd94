"""Who may do what: one file for each role. Start in `registry`."""

from django.contrib.auth.models import Group
from django.db import transaction

from portal.accounts.roles.registry import ROLES, Role
from portal.audit import row_changes
from portal.configuration.people import permissions_by_code

__all__ = ["ROLES", "Role", "ensure"]


@transaction.atomic
def ensure() -> None:
    """Make a group of each role and give it exactly its permissions, as far as they exist.

    They come with the tables; whatever is changed of them afterwards is an event.
    """
    shipped = not Group.objects.filter(name__in=list(ROLES)).exists()
    known = permissions_by_code()
    for name, role in ROLES.items():
        group, created = Group.objects.get_or_create(name=name)
        before = {} if created else row_changes.stored(group)
        group.permissions.set([known[code] for code in role.permissions if code in known])
        if not shipped:
            after = row_changes.stored(group)
            row_changes.record(group, before, after, actor=None, by="as the portal ships it")
