"""The pages on which people prove who they are, and set up how."""

import re
from functools import partial

import segno
from django.contrib.auth import authenticate, logout
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.safestring import SafeString
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from portal import audit
from portal.accounts import second_factor, tokens
from portal.accounts.forms import ProofForm, SecondFactorForm, TokenForm
from portal.models.sign_in_policy import Policy
from portal.models.tokens import AccessToken
from portal.ui import held_form, recent_sign_in
from portal.ui.actions import NotProven, Refused, require_proof
from portal.ui.forms import sentence
from portal.ui.recent_sign_in import PASSWORD, PROVED_AT, SECOND_FACTOR, SECOND_FACTOR_AT
from portal.ui.site import page, person, run

RECENT = 10  # minutes within which the password was given, to change what proves a person


@require_POST
@never_cache
def sign_out(request: HttpRequest) -> HttpResponse:
    """End the session, also of a person who may not use the portal."""
    logout(request)
    return redirect("admin:login")


@sensitive_post_parameters("password", "code")
@page
def again(request: HttpRequest) -> HttpResponse:
    """Ask for what the action that is held demands; then the person sends it."""
    kept = held_form.held(request)
    policy = held_form.policy(kept)
    lacks = recent_sign_in.lacking(recent_sign_in.read(request.session), policy)
    problem = ""
    if request.method == "POST" and lacks:
        problem = _problem(request, lacks)
        lacks = lacks if problem else ()
    if not lacks:
        return redirect("portal:sign-in-resume")
    enrolled = SECOND_FACTOR not in lacks or second_factor.of(request.user) is not None
    return _ask(request, lacks, kept=kept, problem=problem, enrolled=enrolled)


def _problem(request: HttpRequest, lacks: tuple[str, ...]) -> str:
    """Return why what was typed proves nothing; "" after it is noted, under a new session key."""
    form = ProofForm(request.POST, lacks=lacks)
    try:
        run(partial(_prove_by, request, lacks), person(request), form)
    except Refused as refusal:
        return str(refusal)
    return ""


def _prove_by(
    request: HttpRequest, lacks: tuple[str, ...], *, actor: User, password: str = "", code: str = ""
) -> None:
    if PASSWORD in lacks:
        given = {"username": actor.get_username(), "password": password}
        if authenticate(request, **given) != actor:
            raise Refused("The password is wrong.")
    if SECOND_FACTOR in lacks:
        second_factor.prove(actor, code)
    proven = {PASSWORD: PROVED_AT, SECOND_FACTOR: SECOND_FACTOR_AT}
    recent_sign_in.note(request.session, *(proven[lack] for lack in lacks))
    request.session.cycle_key()
    message = f"{actor} confirmed who they are, by {' and '.join(lacks)}."
    audit.record_own("person.confirmed", actor, message)


@page
def resume(request: HttpRequest) -> HttpResponse:
    """Show what was typed before, and the button that sends it; nothing is sent without a click."""
    kept = held_form.held(request)
    if kept is None:
        return HttpResponseRedirect("/")
    if recent_sign_in.lacking(recent_sign_in.read(request.session), held_form.policy(kept)):
        return redirect("portal:sign-in-again")
    if kept["method"] != "POST":
        held_form.forget(request)
        return HttpResponseRedirect(kept["path"])
    # Without commits and digests, which the page sent along and nobody typed.
    mark = re.compile(r"\s*|[0-9a-f]{40,}")
    shown = [(name, value) for name, value in kept["fields"] if not mark.fullmatch(value)]
    what = kept["path"].strip("/").rsplit("/", 1)[-1].replace("-", " ")
    context = {"kept": kept, "shown": shown, "what": what}
    return render(request, "portal/accounts/resume.html", context)


@sensitive_post_parameters("code")
@page
def second_factor_page(request: HttpRequest) -> HttpResponse:
    """Show a person's own second factor, shortly after they proved who they are."""
    user = person(request)
    authenticator = second_factor.of(user)
    policy = Policy(second_factor=authenticator is not None, minutes=RECENT)
    if lacks := recent_sign_in.lacking(recent_sign_in.read(request.session), policy):
        return _asked_first(request, lacks)
    return _second_factor(request, user)


def _asked_first(request: HttpRequest, lacks: tuple[str, ...]) -> HttpResponse:
    """Ask the same on the page's own address, so that an action that is held stays held."""
    problem = ""
    if request.method == "POST" and "proof" in request.POST:
        problem = _problem(request, lacks)
        if not problem:
            return redirect("portal:second-factor")
    return _ask(request, lacks, problem=problem, enrolled=True)


def _ask(request: HttpRequest, lacks: tuple[str, ...], **context: object) -> HttpResponse:
    needs = {"password": PASSWORD in lacks, "code": SECOND_FACTOR in lacks}
    return render(request, "portal/accounts/again.html", needs | context)


def _second_factor(request: HttpRequest, user: User) -> HttpResponse:
    context: dict[str, object] = {"kept": held_form.held(request)}
    if request.method == "POST":
        try:
            context |= run(partial(_changed, request), user, SecondFactorForm(request.POST))
        except Refused as refusal:
            context["problem"] = str(refusal)
    if authenticator := second_factor.of(user):
        left = authenticator.recovery_codes.filter(used_at=None).count()
        context |= {"found": authenticator, "left": left}
    elif begun := second_factor.begun(user):
        picture = segno.make(begun.address, micro=False)
        svg = picture.svg_inline(scale=4, border=4, dark="#000", light="#fff")
        typed = begun.address.split("secret=")[1].split("&")[0]
        context |= {"begun": begun, "typed": typed, "picture": SafeString(svg)}
    return render(request, "portal/accounts/second_factor.html", context)


def _changed(request: HttpRequest, *, actor: User, verb: str, code: str) -> dict[str, object]:
    """Return what a button did, as this page shows it: recovery codes now and never again."""
    if verb == "begin":
        second_factor.begin(actor)
    elif verb == "confirm":
        codes = second_factor.confirm(actor, code)
        recent_sign_in.note(request.session, SECOND_FACTOR_AT)
        request.session.cycle_key()
        return {"codes": codes}
    elif verb == "codes":
        return {"codes": second_factor.renew_codes(actor)}
    elif verb == "remove":
        second_factor.remove(actor, actor=actor)
        request.session.pop(SECOND_FACTOR_AT, None)
    return {}


@page
def access_tokens(request: HttpRequest) -> HttpResponse:
    """List the person's tokens; make one, which this answer alone shows, or remove one."""
    user = person(request)
    context: dict[str, object] = {}
    if request.method == "POST":
        form = TokenForm(request.POST)
        try:
            context["token"] = _tokens_changed(request, form)
        except NotProven as lacking:
            held_form.hold(request, lacking.policy, reverse("portal:access-tokens"), user.pk)
            return redirect("portal:sign-in-again")
        except Refused as refusal:
            context["problem"] = str(refusal)
        else:
            held_form.forget(request)
    context["tokens"] = list(AccessToken.objects.filter(user=user))
    return render(request, "portal/accounts/access_tokens.html", context)


def _tokens_changed(request: HttpRequest, form: TokenForm) -> str:
    """Return the new token; "" after one was removed. Raise `Refused`."""
    user = person(request)
    if not form.is_valid():
        raise Refused(sentence(form))
    if gone := form.cleaned_data["remove"]:
        tokens.remove(user, gone)
        return ""
    require_proof(user, Policy(second_factor.of(user) is not None, RECENT))
    return tokens.make(user, form.cleaned_data["name"])
