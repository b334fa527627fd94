"""The page on which a person makes and removes their own access tokens."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from portal.accounts import second_factor, tokens
from portal.accounts.forms import TokenForm
from portal.models.sign_in_policy import Policy
from portal.models.tokens import AccessToken
from portal.ui import held_form
from portal.ui.actions import NotProven, Refused, require_proof
from portal.ui.forms import sentence
from portal.ui.site import page, person

RECENT = 10  # minutes within which the person must have proven who they are


@page
def access_tokens(request: HttpRequest) -> HttpResponse:
    """List the person's tokens; make one, which this answer alone shows, or remove one."""
    user = person(request)
    context: dict[str, object] = {}
    if request.method == "POST":
        form = TokenForm(request.POST)
        try:
            context["token"] = _changed(request, form)
        except NotProven as lacking:
            held_form.hold(request, lacking.policy, reverse("portal:access-tokens"), user.pk)
            return redirect("portal:sign-in-again")
        except Refused as refusal:
            context["problem"] = str(refusal)
        else:
            held_form.forget(request)
    context["tokens"] = list(AccessToken.objects.filter(user=user))
    return render(request, "portal/accounts/access_tokens.html", context)


def _changed(request: HttpRequest, form: TokenForm) -> str:
    """Return the new token; "" after one was removed. Raise `Refused`."""
    user = person(request)
    if not form.is_valid():
        raise Refused(sentence(form))
    if gone := form.cleaned_data["remove"]:
        tokens.remove(user, gone)
        return ""
    require_proof(user, Policy(second_factor.of(user) is not None, RECENT))
    return tokens.make(user, form.cleaned_data["name"])
