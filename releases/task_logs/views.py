"""The page of a task log: read by everybody, written by those who may, downloaded as a file."""

from functools import partial

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse

from environments.models import Finding
from portal.audit import Actor
from portal.outbound.parsing import JsonObject
from portal.ui.actions import NotPermitted, Refused
from portal.ui.site import page, person, run
from releases.models.releases import Release
from releases.models.task_logs import TaskLog
from releases.task_logs import actions as task_logs_actions
from releases.task_logs.forms import LONGEST, TaskLogForm
from releases.task_logs.markdown import SECTIONS, file_name

STATUS = {task_logs_actions.Stale: 409, NotPermitted: 403}  # of what is not saved; else 400
SUBJECTS: JsonObject = {"release": Release, "finding": Finding}


@page
def task_log(request: HttpRequest, kind: str, pk: int) -> HttpResponse:
    """Show the log; save what was typed, or give it back with one sentence on why it was not
    saved.
    """
    subject = _subject(kind, pk)
    if request.method != "POST":
        return _shown(request, kind, subject)
    form = TaskLogForm(request.POST)
    try:
        run(partial(_write, subject), person(request), form)
    except Refused as refusal:
        status = STATUS.get(type(refusal), 400)
        return _shown(request, kind, subject, form.typed, str(refusal), status)
    return HttpResponseRedirect(reverse("releases:task-log", args=[kind, pk]))


def _write(
    subject: task_logs_actions.Subject, *, actor: Actor, version: int | None, **typed: str
) -> TaskLog:
    return task_logs_actions.write(subject, actor=actor, typed=typed, version=version or 0)


@page
def download(request: HttpRequest, kind: str, pk: int) -> HttpResponse:
    """Show the log as a Markdown file."""
    subject = _subject(kind, pk)
    log = task_logs_actions.of(subject)
    if log is None:
        raise Http404("There is no log yet.")
    response = HttpResponse(
        task_logs_actions.as_file(subject, log), content_type="text/markdown; charset=utf-8"
    )
    name = file_name(task_logs_actions.title(subject), log.created_at)
    response.headers["Content-Disposition"] = (
        f'attachment; filename="{name.encode("ascii", "ignore").decode()}"'
    )
    return response


def _subject(kind: str, pk: int) -> task_logs_actions.Subject:
    if kind not in SUBJECTS:
        raise Http404("There is no such log.")
    return get_object_or_404(SUBJECTS[kind].objects.select_related("project"), pk=pk)


def _shown(
    request: HttpRequest,
    kind: str,
    subject: task_logs_actions.Subject,
    typed: dict[str, str] | None = None,
    problem: str = "",
    status: int = 200,
) -> HttpResponse:
    """Show the page. Two queries besides the subject's; after a refusal the form keeps what was
    typed.
    """
    log = task_logs_actions.of(subject)
    kept = {name: getattr(log, name, "") for name in SECTIONS}
    back = (
        _finding_address(subject)
        if isinstance(subject, Finding)
        else reverse("releases:release", args=[subject.pk])
    )
    context = {
        "kind": kind,
        "subject": subject,
        "project": subject.project,
        "log": log,
        "problem": problem,
        "back": back,
        "older": _beside(kind, subject, older=True),
        "newer": _beside(kind, subject, older=False),
        "title": task_logs_actions.title(subject),
        "authors": list(log.authors.all()) if log else [],
        "sections": [
            (name, heading, kept[name], (typed or kept)[name]) for name, heading in SECTIONS.items()
        ],
        "writing": typed is not None or log is None,
        "version": log.version if log else 0,
        "may_write": request.user.has_perm("releases.write_tasklog"),
        "most": LONGEST,
    }
    return render(request, "releases/task_logs/task_log.html", context, status=status)


def _beside(kind: str, subject: task_logs_actions.Subject, *, older: bool) -> str:
    """Return the address of the task log before or after it in its project; of an open finding
    among the open ones. "" where there is none. One query.
    """
    rows = SUBJECTS[kind].objects.filter(project=subject.project)
    if isinstance(subject, Finding) and subject.closed_at is None:
        rows = rows.filter(closed_at=None)
    rows = rows.filter(pk__lt=subject.pk) if older else rows.filter(pk__gt=subject.pk)
    neighbour = rows.order_by("-pk" if older else "pk").values_list("pk", flat=True).first()
    return reverse("releases:task-log", args=[kind, neighbour]) if neighbour else ""


def _finding_address(finding: Finding) -> str:
    page = reverse("environments:environments")
    return f"{page}?project={finding.project.slug}#finding-{finding.pk}"


def panel(release: Release) -> JsonObject:
    """Return what the release page shows of a log that came along with its release: the sections
    that hold something.
    """
    log: TaskLog | None = getattr(release, "task_log", None)
    return {
        "log": log,
        "sections": [
            (SECTIONS[name], getattr(log, name)) for name in SECTIONS if getattr(log, name, "")
        ],
    }
