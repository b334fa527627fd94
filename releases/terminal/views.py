"""JSON for terminals: who am I, sync staging, task logs. Each act is the same as its button's."""

import functools
from collections.abc import Callable

from django.contrib.auth.models import User
from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from environments.branches import actions as branches
from environments.models import Project, Repair, RepairKind
from portal.accounts import tokens
from portal.ui.actions import NotPermitted, Refused
from portal.ui.forms import sentence
from portal.version import VERSION
from releases.models.releases import Release
from releases.task_logs import actions as task_logs
from releases.task_logs.markdown import SECTIONS
from releases.terminal.forms import NamedForm, SaveForm

STATUS = {NotPermitted: 403, task_logs.Stale: 409}  # of a refusal; else 400
View = Callable[..., HttpResponseBase]


class Unknown(Refused):
    """What was named is not there."""


def by_token(view: View) -> View:
    """Decorate a view that a token opens, and no session: so it needs no CSRF token either.

    The view is given the token's owner. A refusal is answered as JSON: `{"error": sentence}`.
    """

    @csrf_exempt
    @never_cache
    @functools.wraps(view)
    def guarded(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        user = tokens.owner(request.headers.get("Authorization", ""))
        if user is None:
            message = "The access token is missing, wrong or expired: make one under Access tokens."
            headers = {"WWW-Authenticate": "Bearer"}
            return JsonResponse({"error": message}, status=401, headers=headers)
        try:
            return view(request, user, *args, **kwargs)
        except Refused as refusal:
            status = 404 if isinstance(refusal, Unknown) else STATUS.get(type(refusal), 400)
            return JsonResponse({"error": str(refusal)}, status=status)

    return guarded


@by_token
@require_GET
def whoami(request: HttpRequest, user: User) -> JsonResponse:
    """Tell the person, their roles, the projects and the portal's version."""
    projects = [
        {"slug": project.slug, "name": project.name, "watch_only": project.watch_only}
        for project in Project.objects.all()
    ]
    roles = sorted(user.groups.values_list("name", flat=True))
    account = {"user": user.get_username(), "name": user.get_full_name(), "roles": roles}
    return JsonResponse({**account, "projects": projects, "portal": VERSION})


@by_token
@require_POST
def sync_staging(request: HttpRequest, user: User) -> JsonResponse:
    """Have staging brought level with main; answer 202 with the address that tells how it went."""
    project = _project(_named(request)[0])
    repair = branches.sync_staging(project, actor=user)
    return JsonResponse(_told(repair), status=202)


@by_token
@require_GET
def repair(request: HttpRequest, user: User, pk: int) -> JsonResponse:
    """Tell how a sync of staging stands."""
    repairs = Repair.objects.filter(pk=pk, kind=RepairKind.SYNC_STAGING).first()
    if repairs is None:
        raise Unknown("There is no such sync.")
    return JsonResponse(_told(repairs))


@by_token
@require_http_methods(["GET", "POST"])
def task_log(request: HttpRequest, user: User) -> JsonResponse:
    """Tell the task log of a release as Markdown; a POST replaces the sections it holds."""
    release = _release(request)
    if request.method == "POST":
        form = SaveForm(request.POST)
        if not form.is_valid():
            raise Refused(sentence(form))
        was = task_logs.of(release)
        typed = {name: getattr(was, name, "") for name in SECTIONS} | form.sections
        seen = form.cleaned_data["version"] or 0
        task_logs.write(release, actor=user, typed=typed, version=seen)
    log = task_logs.of(release)
    answer = {"release": release.name, "version": log.version if log else 0}
    return JsonResponse({**answer, "markdown": task_logs.as_file(release, log)})


def _told(repair: Repair) -> dict[str, object]:
    return {
        "status": repair.status,
        "open": repair.is_open,
        "result": repair.result,
        "sentence": repair.sentence,
        "address": reverse("releases:terminal-repair", args=[repair.pk]),
    }


def _named(request: HttpRequest) -> tuple[str, str]:
    """Return the project and the release that are named, or "". Raise `Refused`."""
    form = NamedForm(request.POST if request.method == "POST" else request.GET)
    if not form.is_valid():
        raise Refused(sentence(form))
    return form.cleaned_data["project"], form.cleaned_data["release"]


def _project(slug: str) -> Project:
    """Return the project with this short name, or the only one. Raise `Unknown`."""
    known = list(Project.objects.all())
    projects = [project for project in known if not slug or project.slug == slug]
    if len(projects) != 1:
        names = ", ".join(project.slug for project in known) or "none"
        raise Unknown(f"Name one project; there are: {names}.")
    return projects[0]


def _release(request: HttpRequest) -> Release:
    """Return the release of the project that is named, else its newest. Raise `Unknown`."""
    slug, name = _named(request)
    project = _project(slug)
    releases = Release.objects.filter(project=project).order_by("-pk")
    release = (releases.filter(name=name) if name else releases).select_related("project").first()
    if release is None:
        raise Unknown(f"{project} has no release{f' {name}' if name else ' yet'}.")
    return release
