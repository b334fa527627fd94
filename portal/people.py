"""People and their roles as part of the trail: who signed in, who was given which role."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.db import transaction
from django.dispatch import receiver
from django.http import HttpRequest

from portal import audit
from portal.access import sessions  # noqa: F401 - its receivers end the sessions of changed accounts
from portal.site import Recorded

admin.site.unregister((User, Group))


@admin.register(User)
class PersonAdmin(Recorded, UserAdmin):
    """Accounts. Only a superuser makes superusers, gives single permissions or changes another superuser."""

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = tuple(super().get_readonly_fields(request, obj))
        return fields if request.user.is_superuser else (*fields, "is_superuser", "user_permissions")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        may = super().has_change_permission(request, obj)
        return may and (request.user.is_superuser or obj is None or not obj.is_superuser)

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> Any:
        with self._remembering(request, id):
            return super().user_change_password(request, id, form_url)

    def recorded_data(self, obj: Any) -> dict[str, Any]:
        """What the account may do now: its roles are what an auditor looks for."""
        return {
            "roles": sorted(obj.groups.values_list("name", flat=True)),
            "active": obj.is_active,
            "superuser": obj.is_superuser,
        }


@admin.register(Group)
class RoleAdmin(Recorded, GroupAdmin):
    """Roles. The four shipped ones get their permissions back with each start of the portal."""

    def recorded_data(self, obj: Any) -> dict[str, Any]:
        return {"permissions": sorted(obj.permissions.values_list("codename", flat=True))}


@receiver(user_logged_in)
def _signed_in(sender: Any, request: Any, user: Any, **rest: Any) -> None:
    with transaction.atomic():
        audit.record("person.signed_in", actor=user, subject=user, sentence=f"{user} signed in.")


@receiver(user_logged_out)
def _signed_out(sender: Any, request: Any, user: Any, **rest: Any) -> None:
    if user is not None:
        with transaction.atomic():
            audit.record("person.signed_out", actor=user, subject=user, sentence=f"{user} signed out.")
