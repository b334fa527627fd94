"""The admin site on which configuration and the purpose-built pages live, and what their views
share.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.models import User
from django.contrib.auth.views import redirect_to_login
from django.db import transaction
from django.db.models import JSONField, Model, Q, QuerySet
from django.forms import BaseForm, BaseInlineFormSet, ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.cache import never_cache

from portal import audit
from portal.audit import Actor, row_changes
from portal.models import sign_in_policy
from portal.outbound.parsing import JsonObject
from portal.templatetags.formatting import pretty
from portal.ui import forms, held_form, recent_sign_in, wrong_fields
from portal.ui.actions import NotProven, Refused

View = Callable[..., HttpResponseBase]
READ = "releases.view_release"  # every role has it, and nobody sees anything without a role


class SignInForm(AuthenticationForm):
    """Name and password.

    That an account may not use the portal is said after the right password, not instead.
    """

    error_messages = {
        "invalid_login": "The user name or password is wrong.",
        "inactive": "The user name or password is wrong.",
    }


class LabelledRows(BaseInlineFormSet):
    """Rows of a table whose every control has a name: its column's, for those who do not see it."""

    def add_fields(self, form: ModelForm, index: int | None) -> None:
        super().add_fields(form, index)
        row = f" of row {index + 1}" if index is not None else ""
        for name, field in form.fields.items():
            label = "Delete" if name == "DELETE" else field.label or name
            field.widget.attrs.setdefault("aria-label", f"{label}{row}")


class TableInline(admin.TabularInline):
    """Rows that are edited as a table within what they belong to."""

    formset = LabelledRows


class AuditedAdmin(admin.ModelAdmin):
    """Configuration whose changes are part of the trail: no event, no change.

    An event holds what each field was and is, those of inline rows too, and of a secret only that
    it was changed.
    """

    actions: Sequence[Any] | None = None  # each deletion is confirmed, and recorded, by itself
    list_editable = ()

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: Any = None,
    ) -> Any:
        with self._remembering(request, object_id):
            return super().changeform_view(request, object_id, form_url, extra_context)

    @contextmanager
    def _remembering(self, request: HttpRequest, object_id: str | None) -> Iterator[None]:
        """One transaction, at whose beginning the row is locked and its fields are kept for the
        event.
        """
        with transaction.atomic():
            row = (
                self.get_object(request, unquote(object_id))
                if object_id and request.method == "POST"
                else None
            )
            request.stored_before = (  # type: ignore[attr-defined]
                row_changes.with_children(row, self._children(), lock=True) if row else {}
            )
            yield

    def _children(self) -> list[tuple[type[Model], str]]:
        """The models that are edited within this one, each with its link to it."""
        found = []
        for inline in self.inlines:
            link = next(
                field
                for field in inline.model._meta.concrete_fields
                if field.related_model is self.model
            )
            found.append((inline.model, link.name))
        return found

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        self._record(request, obj, {}, row_changes.with_children(obj, self._children()))
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        before = request.stored_before  # type: ignore[attr-defined]
        self._record(request, obj, before, row_changes.with_children(obj, self._children()))
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: QuerySet) -> Any:
        for obj in queryset:
            self._record(
                request, obj, row_changes.with_children(obj, self._children(), lock=True), {}
            )
        return super().log_deletions(request, queryset)

    def recorded_data(self, obj: Any) -> JsonObject:
        """What the event holds besides the changes."""
        return {}

    def _record(
        self,
        request: HttpRequest,
        obj: Model,
        before: row_changes.Stored,
        after: row_changes.Stored,
    ) -> None:
        row_changes.record(
            obj, before, after, actor=person(request), data=self.recorded_data(obj) if after else {}
        )


def _pretty(field: JSONField) -> Callable[[Model], SafeString]:
    """A column of JSON as a page shows it."""

    @admin.display(description=field.verbose_name)
    def shown(row: Model) -> SafeString:
        return format_html("<pre>{}</pre>", pretty(getattr(row, field.name)))

    shown.__name__ = f"pretty_{field.name}"
    return shown


class ReadOnly(admin.ModelAdmin):
    """What the portal itself writes: to be looked at, never edited here; JSON line by line."""

    actions: Sequence[Any] | None = None
    list_editable = ()

    def __init__(self, model: type[Model], admin_site: admin.AdminSite) -> None:
        super().__init__(model, admin_site)
        self.pretty = {
            field.name: _pretty(field)
            for field in model._meta.concrete_fields
            if isinstance(field, JSONField)
        }

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        return [self.pretty.get(str(name), name) for name in super().get_fields(request, obj)]

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class PortalSite(admin.AdminSite):
    """Django's admin with the portal's name, in which nothing is changed without an event."""

    site_header = site_title = "Release portal"
    index_title = "All rows"
    enable_nav_sidebar = False  # the portal's own is there
    site_url = "/"
    login_form = SignInForm

    def has_permission(self, request: HttpRequest) -> bool:
        """Whether the person is active, staff, and has a role.

        What the session has proven goes with the actor.
        """
        user = person(request)
        if not (user.is_active and user.is_staff and user.has_perm(READ)):
            return False
        user.sign_in = recent_sign_in.read(request.session)  # type: ignore[attr-defined]
        return True

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        """Registers; what neither records its changes nor makes none, such as a library's, is
        shown only.
        """
        if not issubclass(admin_class or admin.ModelAdmin, (AuditedAdmin, ReadOnly)):
            base = admin_class or admin.ModelAdmin
            admin_class = type(
                f"Shown{base.__name__}", (ReadOnly, base), {"__module__": base.__module__}
            )
        super().register(model_or_iterable, admin_class, **options)

    def login(self, request: HttpRequest, extra_context: JsonObject | None = None) -> Any:
        """The sign-in page; in sandbox mode it names the people that were made for trying out."""
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

    def password_change(self, request: HttpRequest, extra_context: JsonObject | None = None) -> Any:
        """One's own password: the change and its event, or neither."""
        user = person(request)
        with transaction.atomic():
            before = row_changes.stored(user, lock=True)
            answer = super().password_change(request, extra_context)
            if told := row_changes.difference(before, row_changes.stored(user)):
                message = f"{audit.actor_name(user)} changed their own password."
                data = {"changes": told}
                audit.record(
                    "person.password_changed", actor=user, subject=user, sentence=message, data=data
                )
            return answer

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[object]:
        """Configuration first; what the portal itself keeps comes after."""
        order = ["environments", "releases", "auth"]
        apps = super().get_app_list(request, app_label)
        return sorted(
            apps,
            key=lambda app: (
                order.index(app["app_label"]) if app["app_label"] in order else len(order)
            ),
        )


def page(view: View) -> View:
    """Decorates a view: only for people who are signed in and may use the portal; others are
    asked to sign in.
    """

    @never_cache
    @functools.wraps(view)
    def guarded(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        if admin.site.has_permission(request):
            return wrong_fields.shown(request, view(request, *args, **kwargs))
        if request.user.is_authenticated:
            return no_role(request)
        login, then = reverse("admin:login"), request.get_full_path()
        if request.method == "POST":  # what was typed is not lost
            held_form.hold(
                request, sign_in_policy.Policy(), "/", getattr(request, "session_of", None)
            )
            then = reverse("portal:sign-in-resume")
        if by_htmx(request):  # a fragment is no place for a sign-in form: the whole page goes there
            login += f"?next={then}" if request.method == "POST" else ""
            return HttpResponse(status=204, headers={"HX-Redirect": login})
        return redirect_to_login(then, login)

    return guarded


def no_role(request: HttpRequest) -> HttpResponse:
    """What a person sees who is signed in and may not use the portal: a sentence, and whom to
    ask.
    """
    user = person(request)
    deciding = User.objects.filter(
        Q(is_superuser=True) | Q(groups__name="Administrators"), is_active=True
    )
    names = [
        one.get_full_name() or one.username for one in deciding.order_by("username").distinct()[:5]
    ]
    context = {"has_role": user.has_perm(READ), "names": names}
    return render(request, "portal/accounts/no_role.html", context, status=403)


def person(request: HttpRequest) -> User:
    """Return who is signed in; `page` and the admin let nobody else through."""
    return cast(User, request.user)


def by_htmx(request: HttpRequest) -> bool:
    """Whether htmx asks, and a fragment is enough."""
    return request.headers.get("HX-Request") == "true"


def run_action[R](
    request: HttpRequest,
    then: str,
    act: Callable[..., R],
    message: str = "",
    *,
    form: BaseForm | None = None,
    landing: Callable[[R], str] | None = None,
    refused: type[Exception] = Refused,
) -> HttpResponse:
    """Run the action `act` for the person with the fields of `form`, and go on to the address
    `then`.

    The person is told `said`, or what was wrong with the form, or why the action was refused
    (`Refused`, `refused`).
    `landing` gives the address for what the action returned, where that is not `then`.
    """
    try:
        made = run(act, person(request), form)
    except NotProven as lacking:
        held_form.hold(request, lacking.policy, then, request.user.pk)
        return HttpResponseRedirect(reverse("portal:sign-in-again"))
    except (Refused, refused) as refusal:
        messages.error(request, str(refusal))
        if form is not None and form.errors:
            wrong_fields.keep(request, form)
            then = wrong_fields.page_of(request) or then
        return HttpResponseRedirect(then)
    held_form.forget(request)
    if message:
        messages.success(request, message)
    return HttpResponseRedirect(landing(made) if landing else then)


def run[R](act: Callable[..., R], actor: Actor, form: BaseForm | None = None) -> R:
    """Return what the action `act` made of the fields of `form`.

    Raise `Refused` when one of them does not hold.
    """
    if form is not None and not form.is_valid():
        raise Refused(forms.sentence(form))
    return act(actor=actor, **(form.cleaned_data if form is not None else {}))
