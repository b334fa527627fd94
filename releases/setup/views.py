"""The pages that connect a project."""

from collections.abc import Callable
from functools import partial
from typing import cast

from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.forms import BaseFormSet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from environments.models import Project, ProjectProposal
from environments.setup import choices
from portal.audit import Actor
from portal.outbound.http import ApiError
from portal.ui import forms as ui_forms
from portal.ui.actions import Refused
from portal.ui.site import page, run, run_action
from releases.setup import actions, credentials, leave_watch_only
from releases.setup.forms import (
    ChooseForm,
    CredentialForm,
    DatabaseFormSet,
    GoLiveForm,
    OwnCredentialForm,
    ProposalForm,
    initial,
)

SHOWN = 25
FIELDS = tuple(actions.Settings.__annotations__)


def _may(request: HttpRequest) -> None:
    if not request.user.has_perm(actions.ADD):
        raise PermissionDenied


@page
def new_project(request: HttpRequest) -> HttpResponse:
    """Show what is connected, and the repositories and Railway projects to choose from."""
    _may(request)
    statuses = [credentials.status_of(service) for service in credentials.LABELS]
    ready = all(status.ok for status in statuses)
    context: dict[str, object] = {"statuses": statuses, "ready": ready}
    if ready:
        context |= {
            "repositories": _page_of(request, "repository", choices.repositories),
            "projects_": _page_of(request, "railway", choices.railway_projects),
        }
    return render(request, "releases/setup/new_project.html", context)


def _person(request: HttpRequest) -> User:
    return cast(User, request.user)  # `page` lets nobody else in


def _page_of(
    request: HttpRequest, name: str, read: Callable[[str], list[choices.Choice]]
) -> dict[str, object]:
    search = request.GET.get(name, "").replace("\x00", "").strip()[:200]
    try:
        options = read(search)
    except ApiError:
        options = []
    rows = Paginator(options, SHOWN).get_page(request.GET.get(f"{name}-page"))
    found_here: dict[str, object] = {"search": search, "rows": rows}
    if rows.has_previous():
        found_here["earlier"] = _query(request, name, rows.previous_page_number())
    if rows.has_next():
        found_here["later"] = _query(request, name, rows.next_page_number())
    return found_here


def _query(request: HttpRequest, name: str, number: int) -> str:
    kept = request.GET.copy()
    kept[f"{name}-page"] = str(number)
    return kept.urlencode()


@sensitive_post_parameters("token")
@page
@require_POST
def paste(request: HttpRequest) -> HttpResponse:
    """Keep a pasted token, and say at once what it is."""
    return told_and_back(request, _paste, CredentialForm(request.POST))


def told_and_back(
    request: HttpRequest, act: Callable[..., str], form: CredentialForm | OwnCredentialForm
) -> HttpResponse:
    """Run `act`, say what it returned or why it was refused, and go back to where it was asked."""
    slug = form["scope"].value() or ""
    project = Project.objects.filter(slug=slug).first() if slug.isprintable() else None
    own = f"{reverse('releases:credentials')}?project={project.slug}" if project else ""
    try:
        if slug and project is None:
            raise Refused("There is no such project.")
        messages.success(request, run(act, _person(request), form))
    except Refused as refusal:
        messages.error(request, str(refusal))
    return HttpResponseRedirect(own or reverse("releases:new-project"))


def _paste(*, actor: Actor, service: str, token: str, scope: str) -> str:
    return credentials.set_credential(service, actor=actor, token=token, scope=scope)


@page
@require_POST
def choose(request: HttpRequest) -> HttpResponse:
    """Have the chosen repository and project read."""
    return run_action(
        request,
        reverse("releases:new-project"),
        _choose,
        form=ChooseForm(request.POST),
        landing=lambda job: reverse("releases:proposal", args=[job.pk]),
    )


def _choose(*, actor: Actor, repository: str, railway: str) -> ProjectProposal:
    return actions.propose(repository, actor=actor, railway=railway)


@page
def proposal(request: HttpRequest, pk: int) -> HttpResponse:
    """Show the progress of the reading, then the proposal; what is sent makes the project."""
    _may(request)
    job = get_object_or_404(ProjectProposal, pk=pk)
    if job.project is not None:
        return HttpResponseRedirect(reverse("releases:go-live", args=[job.project.slug]))
    if job.is_open or not job.found:
        return render(request, "releases/setup/proposal.html", {"job": job})
    if request.method == "POST":
        form, databases = ProposalForm(request.POST), DatabaseFormSet(request.POST)
        if form.is_valid() and databases.is_valid():
            return _accepted(request, job, form, databases)
        problem = " ".join([ui_forms.sentence(form), *map(ui_forms.sentence, databases.forms)])
        messages.error(request, problem.strip())
    else:
        rows = [{"keep": True, **database} for database in job.found["databases"]]
        form = ProposalForm(initial=initial(job.found))
        databases = DatabaseFormSet(initial=rows)
    context = {"job": job, "found": job.found, "form": form, "databases": databases}
    return render(request, "releases/setup/proposal.html", context)


def _accepted(
    request: HttpRequest, job: ProjectProposal, form: ProposalForm, databases: BaseFormSet
) -> HttpResponse:
    given = form.cleaned_data
    kept = [
        {name: value for name, value in values.items() if name != "keep"}
        for values in databases.cleaned_data
        if values.get("keep") and values.get("alembic")
    ]
    act = partial(
        actions.accept,
        job,
        settings=cast(actions.Settings, {name: given[name] for name in FIELDS}),
        databases=kept,
        smoke=given["smoke"],
        checks=given["checks"],
    )
    sentence = f"{given['name']} is connected. Nothing was written outside."

    def landing(project: Project) -> str:
        name = "releases:board" if given["watch_only"] else "releases:go-live"
        return reverse(name, args=[] if given["watch_only"] else [project.slug])

    return run_action(
        request, reverse("releases:proposal", args=[job.pk]), act, sentence, landing=landing
    )


@page
def go_live(request: HttpRequest, slug: str) -> HttpResponse:
    """Show exactly what will be sent, to be confirmed."""
    _may(request)
    project = get_object_or_404(Project, slug=slug)
    listed = leave_watch_only.once(project)
    if request.method == "POST":
        form = GoLiveForm(request.POST)
        return _live(request, project, form)
    context = {
        "project": project,
        "listed": listed,
        "from_then_on": leave_watch_only.from_then_on(project),
    }
    return render(request, "releases/setup/go_live.html", context)


def _live(request: HttpRequest, project: Project, form: GoLiveForm) -> HttpResponse:
    try:
        problems = run(partial(leave_watch_only.go_live, project), _person(request), form)
    except Refused as refusal:
        problems = [str(refusal)]
    for problem in problems:
        messages.error(request, problem)
    if not problems:
        messages.success(request, f"The portal now acts for {project.name}.")
    return HttpResponseRedirect(reverse("releases:board"))
