"""What the views of the portal share: who may see a page, and how an action is carried out."""

import functools
from collections.abc import Callable
from typing import cast

from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.contrib.auth.views import redirect_to_login
from django.db.models import Q
from django.forms import BaseForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache

from portal.audit import Actor
from portal.models import sign_in_policy
from portal.ui import form_errors, forms, held_form
from portal.ui.actions import NotProven, Refused

View = Callable[..., HttpResponseBase]
READ = "releases.view_release"  # every role has it, and nobody sees anything without a role


def page(view: View) -> View:
    """Decorate a view: only for people who are signed in and may use the portal; others are asked
    to sign in.
    """

    @never_cache
    @functools.wraps(view)
    def guarded(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        if admin.site.has_permission(request):
            return form_errors.shown(request, view(request, *args, **kwargs))
        if request.user.is_authenticated:
            return no_role(request)
        login, then = reverse("admin:login"), request.get_full_path()
        if request.method == "POST":  # what was typed is not lost
            by = getattr(request, "session_of", None)
            held_form.hold(request, sign_in_policy.Policy(), "/", by)
            then = reverse("portal:sign-in-resume")
        if by_htmx(request):  # a fragment is no place for a sign-in form: the whole page goes there
            login += f"?next={then}" if request.method == "POST" else ""
            return HttpResponse(status=204, headers={"HX-Redirect": login})
        return redirect_to_login(then, login)

    return guarded


def no_role(request: HttpRequest) -> HttpResponse:
    """Show what a person sees who is signed in and may not use the portal: a sentence, and whom to
    ask.
    """
    user = person(request)
    deciding = User.objects.filter(
        Q(is_superuser=True) | Q(groups__name="Administrators"), is_active=True
    )
    names = [
        administrator.get_full_name() or administrator.username
        for administrator in deciding.order_by("username").distinct()[:5]
    ]
    context = {"has_role": user.has_perm(READ), "names": names}
    return render(request, "portal/accounts/no_role.html", context, status=403)


def person(request: HttpRequest) -> User:
    """Return who is signed in; `page` and the admin let nobody else through."""
    return cast(User, request.user)


def by_htmx(request: HttpRequest) -> bool:
    """Return whether htmx asks, and a fragment is enough."""
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
            form_errors.keep(request, form)
            then = form_errors.page_of(request) or then
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
