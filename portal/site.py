"""The admin site on which configuration and the purpose-built pages live, and what their views share."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.models import User
from django.contrib.auth.views import redirect_to_login
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache

from portal import audit
from portal.access import held, proof
from portal.actions import NotProven, Refused

View = Callable[..., HttpResponse]
READ = "releases.view_release"  # every role has it, and nobody sees anything without a role


class SignInForm(AuthenticationForm):
    """Name and password. That an account may not use the portal is said after the right password, not instead."""

    error_messages = {
        "invalid_login": "The user name or the password is wrong.",
        "inactive": "The user name or the password is wrong.",
    }


class PortalSite(admin.AdminSite):
    """Django's admin with the portal's name."""

    site_header = site_title = "Release portal"
    index_title = "Configuration"
    site_url = "/"
    login_form = SignInForm

    def has_permission(self, request: HttpRequest) -> bool:
        """Whether the person is active, staff, and has a role. What the session has proven goes with the actor."""
        user: Any = request.user
        if not (user.is_active and user.is_staff and user.has_perm(READ)):
            return False
        user.sign_in = proof.read(request.session)
        return True

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """The sign-in page; in sandbox mode it names the people that were made for trying out."""
        if request.method == "GET" and request.user.is_authenticated and not self.has_permission(request):
            return no_role(request)
        return super().login(request, {"sandbox": settings.SANDBOX, **(extra_context or {})})

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """Configuration first; what the portal itself keeps comes after."""
        order = ["environments", "releases", "auth"]
        apps = super().get_app_list(request, app_label)
        return sorted(apps, key=lambda app: order.index(app["app_label"]) if app["app_label"] in order else len(order))


class Recorded(admin.ModelAdmin):
    """Configuration whose changes are part of the trail: no event, no change. What a field holds is never written."""

    actions: Sequence[Any] | None = None  # each deletion is confirmed, and recorded, by itself

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        self._record(request, obj, "added", message)
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        if message:
            self._record(request, obj, "changed", message)
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        for obj in queryset:
            self._record(request, obj, "deleted", [])
        return super().log_deletions(request, queryset)

    def recorded_data(self, obj: Any) -> dict[str, Any]:
        """What the event holds besides the names of the fields that were changed."""
        return {}

    def _record(self, request: HttpRequest, obj: Any, done: str, message: Any) -> None:
        sentence = f"{str(obj._meta.verbose_name).capitalize()} {obj} was {done}."
        data = {"change": message, **(self.recorded_data(obj) if done != "deleted" else {})}
        audit.record(f"configuration.{done}", actor=request.user, subject=obj, sentence=sentence, data=data)


class ReadOnly(admin.ModelAdmin):
    """What the portal itself writes: to be looked at, never edited here."""

    actions: Sequence[Any] | None = None

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def page(view: View) -> View:
    """Decorates a view: only for people who are signed in and may use the portal; others are asked to sign in."""

    @never_cache
    @functools.wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if admin.site.has_permission(request):
            return view(request, *args, **kwargs)
        if request.user.is_authenticated:
            return no_role(request)
        login, then = reverse("admin:login"), request.get_full_path()
        if request.method == "POST":  # what was typed is not lost
            held.hold(request, proof.Policy(), "/", getattr(request, "session_of", None))
            then = reverse("sign-in-resume")
        if by_htmx(request):  # a fragment is no place for a sign-in form: the whole page goes there
            login += f"?next={then}" if request.method == "POST" else ""
            return HttpResponse(status=204, headers={"HX-Redirect": login})
        return redirect_to_login(then, login)

    return guarded


def no_role(request: HttpRequest) -> HttpResponse:
    """What a person sees who is signed in and may not use the portal: a sentence, and whom to ask."""
    user: Any = request.user
    deciding = User.objects.filter(Q(is_superuser=True) | Q(groups__name="Administrators"), is_active=True)
    names = [one.get_full_name() or one.username for one in deciding.order_by("username").distinct()[:5]]
    context = {"has_role": user.has_perm(READ), "names": names}
    return render(request, "access/no_role.html", context, status=403)


def by_htmx(request: HttpRequest) -> bool:
    """Whether htmx asks, and a fragment is enough."""
    return request.headers.get("HX-Request") == "true"


def perform(
    request: HttpRequest, then: str, act: Callable[[], Any], said: str = "", refused: type[Exception] = Refused
) -> HttpResponse:
    """Runs `act`, tells the person `said` or why it was refused, and goes on to the address `then`."""
    try:
        act()
    except NotProven as lacking:
        held.hold(request, lacking.policy, then, request.user.pk)
        return HttpResponseRedirect(reverse("sign-in-again"))
    except (Refused, refused) as refusal:
        messages.error(request, str(refusal))
    else:
        held.forget(request)
        if said:
            messages.success(request, said)
    return HttpResponseRedirect(then)
