"""The admin site on which configuration and the purpose-built pages live."""

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from portal import audit
from portal.audit import row_changes
from portal.outbound.parsing import JsonObject
from portal.ui import recent_sign_in
from portal.ui.model_admin import AuditedAdmin, ReadOnly
from portal.ui.site import READ, no_role, person


class SignInForm(AuthenticationForm):
    """Name and password.

    That an account may not use the portal is said after the right password, not instead.
    """

    error_messages = {
        "invalid_login": "The user name or password is wrong.",
        "inactive": "The user name or password is wrong.",
    }


class PortalSite(admin.AdminSite):
    """Django's admin with the portal's name, in which nothing is changed without an event."""

    site_header = site_title = "Release portal"
    index_title = "All rows"
    enable_nav_sidebar = False  # the portal's own is there
    site_url = "/"
    login_form = SignInForm

    def has_permission(self, request: HttpRequest) -> bool:
        """Return whether the person is active, staff, and has a role.

        What the session has proven goes with the actor.
        """
        user = person(request)
        if not (user.is_active and user.is_staff and user.has_perm(READ)):
            return False
        user.sign_in = recent_sign_in.read(request.session)  # type: ignore[attr-defined]
        return True

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: object) -> None:
        """Register; what neither records its changes nor makes none, such as a library's, is shown
        only.
        """
        if not issubclass(admin_class or admin.ModelAdmin, (AuditedAdmin, ReadOnly)):
            base = admin_class or admin.ModelAdmin
            admin_class = type(
                f"Shown{base.__name__}", (ReadOnly, base), {"__module__": base.__module__}
            )
        super().register(model_or_iterable, admin_class, **options)

    def login(self, request: HttpRequest, extra_context: JsonObject | None = None) -> HttpResponse:
        """Show the sign-in page; in sandbox mode it names the people that were made for trying
        out.
        """
        if (
            request.method == "GET"
            and request.user.is_authenticated
            and not self.has_permission(request)
        ):
            return no_role(request)
        if not settings.SANDBOX and not User.objects.exists():
            return HttpResponseRedirect(reverse("portal:setup"))
        with transaction.atomic():  # who signs in is an event, or does not
            return super().login(request, {"sandbox": settings.SANDBOX, **(extra_context or {})})

    def password_change(
        self, request: HttpRequest, extra_context: JsonObject | None = None
    ) -> TemplateResponse:
        """Show one's own password: the change and its event, or neither."""
        user = person(request)
        with transaction.atomic():
            before = row_changes.stored(user, lock=True)
            answer = super().password_change(request, extra_context)
            if changes := row_changes.difference(before, row_changes.stored(user)):
                message = f"{audit.actor_name(user)} changed their own password."
                data = {"changes": changes}
                audit.record(
                    "person.password_changed", actor=user, subject=user, sentence=message, data=data
                )
            return answer

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[object]:
        """List configuration first; what the portal itself keeps comes after."""
        order = ["environments", "releases", "auth"]
        apps = super().get_app_list(request, app_label)
        return sorted(
            apps,
            key=lambda app: (
                order.index(app["app_label"]) if app["app_label"] in order else len(order)
            ),
        )
