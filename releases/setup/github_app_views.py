"""The pages of the manifest flow: what will be made, back with a code, installed and in use."""

import hmac
import json
import secrets
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.csp import csp_override

from environments.github import apps
from environments.models import Project
from portal.models.credentials import NewGitHubApp
from portal.ui.actions import Refused
from portal.ui.site import page, person
from releases.setup import github_app as actions
from releases.setup.forms import OrganizationForm

KEPT = "github_app"  # in the session: the state that GitHub must bring back
SECONDS = 3600  # GitHub's own limit for the whole flow


def _may(request: HttpRequest) -> None:
    if not request.user.has_perm(actions.PERMISSION):
        raise PermissionDenied


@page
def github_app(request: HttpRequest) -> HttpResponse:
    """Show exactly what GitHub is asked to make; the form goes to GitHub itself."""
    _may(request)
    form = OrganizationForm(request.GET)
    organization = form.cleaned_data["organization"] if form.is_valid() else ""
    scope = form.cleaned_data.get("scope", "")
    if scope:
        get_object_or_404(Project, slug=scope)
    state = secrets.token_urlsafe(24)
    now = timezone.now().timestamp()
    request.session[KEPT] = {"state": state, "scope": scope, "at": now}
    made, installed = (
        f"{settings.PORTAL_URL}{reverse(f'releases:{name}')}"
        for name in ("github-app-made", "github-app-installed")
    )
    manifest = apps.manifest(made, installed)
    context = {
        "form": form,
        "organization": organization,
        "manifest": json.dumps(manifest),
        "shown": manifest,
        "address": apps.creation_address(organization, state),
        "github": settings.GITHUB_GIT_URL,
    }
    # This page alone may send a form to GitHub.
    parts = urlsplit(settings.GITHUB_GIT_URL)
    policy = settings.SECURE_CSP | {"form-action": ["'self'", f"{parts.scheme}://{parts.netloc}"]}
    return csp_override(policy)(render)(request, "releases/setup/github_app.html", context)


@page
def made(request: HttpRequest) -> HttpResponse:
    """Take the browser that GitHub sends back: the code becomes an App, if this session asked for
    it.
    """
    _may(request)
    kept = request.session.pop(KEPT, {})
    state, at = str(kept.get("state", "")), float(kept.get("at", 0))
    fresh = timezone.now().timestamp() - at < SECONDS
    if not state or not fresh or not hmac.compare_digest(state, request.GET.get("state", "")):
        messages.error(request, "This did not begin here, or too long ago. Nothing was made.")
        return HttpResponseRedirect(reverse("releases:github-app"))
    try:
        actions.keep_new_app(
            str(kept.get("scope", "")), actor=person(request), code=request.GET.get("code", "")
        )
    except Refused as refusal:
        messages.error(request, str(refusal))
        return HttpResponseRedirect(reverse("releases:github-app"))
    return HttpResponseRedirect(reverse("releases:github-app-installed"))


@page
def installed(request: HttpRequest) -> HttpResponse:
    """Show where the App is installed from, and a button that uses it then. Nothing GitHub's
    redirect says is believed: the action asks GitHub.
    """
    _may(request)
    new = NewGitHubApp.objects.filter(made_by=person(request)).order_by("-made_at").first()
    if new is None:
        return HttpResponseRedirect(reverse("releases:new-project"))
    if request.method == "POST":
        try:
            messages.success(request, actions.use_new_app(new, actor=person(request)))
        except Refused as refusal:
            messages.error(request, str(refusal))
            return HttpResponseRedirect(reverse("releases:github-app-installed"))
        own = f"{reverse('releases:credentials')}?project={new.scope}"
        return HttpResponseRedirect(own if new.scope else reverse("releases:new-project"))
    context = {
        "new": new,
        "address": apps.installation_address(new.app_slug),
        "came": "installation_id" in request.GET,
    }
    return render(request, "releases/setup/github_app_installed.html", context)
