"""People and their roles in the admin and the trail; granting a right takes two people."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group, User
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.db import transaction
from django.db.models import Model, QuerySet
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from portal.accounts import sessions  # noqa: F401 - its receivers end the sessions of changed accounts
from portal.accounts.invitations import PersonForm, link_of
from portal.audit import record_own
from portal.configuration.admin import TwoPeople
from portal.configuration.people import AS_IT_IS, may_ever_sign
from portal.outbound.parsing import JsonObject
from portal.ui.actions import Refused

admin.site.unregister((User, Group))


@admin.register(User)
class PersonAdmin(TwoPeople, UserAdmin):
    """Accounts. Only a superuser makes superusers, gives single permissions or changes another
    superuser.

    Two people give rights, and nobody gives them to themselves. An account is shut by one, and
    never deleted: it has signed things.
    """

    add_form = PersonForm
    add_fieldsets = (
        (None, {"fields": ("username", "email", "groups", "usable_password")}),
        ("Password", {"fields": ("password1", "password2")}),
    )
    list_display = ("username", "full_name", "roles", "email", "may_sign_in", "last_login")
    list_filter = ("groups", "is_active", "is_superuser")

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return super().get_queryset(request).prefetch_related("groups")

    @admin.display(description="name")
    def full_name(self, person: User) -> str:
        return person.get_full_name()

    @admin.display(description="roles")
    def roles(self, person: User) -> str:
        names = [group.name for group in person.groups.all()]
        return ", ".join(names + ["superuser"] * person.is_superuser) or "no role"

    @admin.display(description="may sign in", boolean=True)
    def may_sign_in(self, person: User) -> bool:
        return person.is_active and person.is_staff

    def response_add(
        self, request: HttpRequest, obj: User, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Show the link of an invitation, once, to who made the account."""
        if not obj.has_usable_password():
            message = f"Send {obj} this link to set a password; it works once: {link_of(obj)}"
            messages.info(request, message)
        return super().response_add(request, obj, post_url_continue)

    def get_readonly_fields(
        self, request: HttpRequest, obj: Model | None = None
    ) -> tuple[str, ...]:
        own = () if request.user.is_superuser else ("is_superuser", "user_permissions")
        return (*super().get_readonly_fields(request, obj), *own)

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        may = super().has_change_permission(request, obj)
        return may and (request.user.is_superuser or obj is None or not obj.is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def user_change_password(
        self, request: HttpRequest, id: str, form_url: str = ""
    ) -> HttpResponse:
        """Change another's password; for those who sign it takes two people."""
        person = self.get_object(request, unquote(id))
        posted = request.method == "POST"
        if posted and person and person.pk != request.user.pk and may_ever_sign(person):
            form = self.change_password_form(person, request.POST)
            may = self.has_change_permission(request, person) and form.is_valid()
            if may and (given := form.cleaned_data["password1"]):
                return self._new_password(request, person, make_password(given))
        with self._remembering(request, id):
            return super().user_change_password(request, id, form_url)

    def _new_password(self, request: HttpRequest, person: User, hashed: str) -> HttpResponse:
        shown, secrets = {"password": (AS_IT_IS, "a new one")}, {"password": hashed}
        try:
            with transaction.atomic():
                self.propose(request, person, values={}, shown=shown, secrets=secrets)
        except Refused as refusal:
            self.refused(request, refusal, str(person.pk))
        return redirect("admin:auth_user_change", person.pk)

    def recorded_data(self, obj: Any) -> JsonObject:
        """Return what the account may do now: its roles are what an auditor looks for."""
        return {
            "roles": sorted(obj.groups.values_list("name", flat=True)),
            "active": obj.is_active,
            "superuser": obj.is_superuser,
        }


@admin.register(Group)
class RoleAdmin(TwoPeople, GroupAdmin):
    """Roles. The four shipped ones get their permissions back with each start of the portal."""

    def has_delete_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        # Deleting it would take the right to confirm from others, until one who may act alone.
        may = super().has_delete_permission(request, obj)
        return may and obj is not None and not obj.user_set.exists()

    def recorded_data(self, obj: Any) -> JsonObject:
        return {"permissions": sorted(obj.permissions.values_list("codename", flat=True))}


@receiver(user_logged_in)
def _signed_in(sender: object, request: object, user: User, **rest: object) -> None:
    record_own("person.signed_in", user, f"{user} signed in.")


@receiver(user_logged_out)
def _signed_out(sender: object, request: object, user: User, **rest: object) -> None:
    if user is not None:
        record_own("person.signed_out", user, f"{user} signed out.")
