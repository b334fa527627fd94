"""The page that creates the first administrator. It exists only until there is one."""

from django.contrib.auth import login
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters

from portal.accounts.client_address import client_address
from portal.first_start import actions, codes
from portal.first_start.forms import FirstAdministratorForm
from portal.ui.actions import Refused

BACKEND = "django.contrib.auth.backends.ModelBackend"


@never_cache
@sensitive_post_parameters()
def setup(request: HttpRequest) -> HttpResponse:
    """Ask for the printed code, a name and a password; sign the new administrator in."""
    if not codes.wanted():
        raise Http404
    form, status = FirstAdministratorForm(request.POST or None), 200
    if request.method == "POST" and form.is_valid():
        given = {name: form.cleaned_data[name] for name in ("code", "username", "password")}
        try:
            person = actions.make_administrator(**given, address=client_address(request))
        except actions.Gone:
            return redirect("admin:login")
        except Refused as refusal:
            form.add_error("code", str(refusal))
            status = 429 if isinstance(refusal, actions.Wait) else 200
        else:
            login(request, person, backend=BACKEND)
            return redirect("releases:board")
    context = {"form": form, "printed": codes.announce_if_expired()}
    return render(request, "portal/first_start/setup.html", context, status=status)
