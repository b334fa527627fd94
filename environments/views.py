"""The environment matrix and the pages of migration runs."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import JSONObject, Right
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from environments import actions, protections, service_panels, staging, standing_views
from environments.aftermath import aftermath_of
from environments.coherence import expected_branches
from environments.live import live_of
from environments.models import (
    Branch,
    BranchProtection,
    ConnectionCheck,
    DeployKey,
    Deployment,
    Environment,
    EnvironmentDatabase,
    Finding,
    FindingKind,
    MigrationRun,
    Project,
    Rehearsal,
    Repair,
    RepairKind,
    ServiceInstance,
    SmokeTest,
    StagingReset,
    with_several_databases,
)
from portal.site import page, perform

LOG_CHARS = 20_000
RUNS_SHOWN = 50
REPAIRS_SHOWN = 10
REHEARSALS_SHOWN = 20
RESOLVED_SHOWN = 20
PREVIEWS_BESIDE = 4  # more of them have a table of their own
ORDER = {"staging": 0, "production": 1, "other": 2, "preview": 3}


@page
def environments(request: HttpRequest) -> HttpResponse:
    """Services × environments of one project, and what is incoherent. Eleven queries whatever the counts."""
    tested = Exists(SmokeTest.objects.filter(project=OuterRef("pk")))
    projects = list(Project.objects.select_related("railway_sync").annotate(tested=tested))
    slug = request.GET.get("project", "")
    project = next((one for one in projects if one.slug == slug), projects[0] if projects else None)
    context: dict[str, Any] = {"projects": projects, "project": project}
    if project is not None:
        context |= _matrix(project) | {"untested": not project.tested}
        heads = {row.name: row.head for row in Branch.objects.filter(project=project)}
        instances = context.pop("instances")
        findings = Finding.objects.filter(project=project, closed_at=None)
        context["findings"] = [(one, _remedy(one, instances.get(one.subject), project, heads)) for one in findings]
        resolved = Finding.objects.filter(project=project, closed_by__isnull=False).select_related("closed_by")
        context["resolved"] = resolved.order_by("-closed_at")[:RESOLVED_SHOWN]
        context["staging_head"] = heads.get(project.staging_branch, "")
        context["production_head"] = heads.get(project.production_branch, "")
        context |= _repairs(project)
        reset = StagingReset.objects.filter(project=project, closed_at=None).select_related("requested_by").first()
        context["reset"] = reset
        context["sync"] = getattr(project, "railway_sync", None)
    return render(request, "environments/environments.html", context)


def _remedy(
    finding: Finding, instance: ServiceInstance | None, project: Project, heads: dict[str, str]
) -> dict[str, str] | None:
    """What a person can have done about a finding by one click: where to post what, and what will happen."""
    if instance is None:
        return None
    if finding.kind == FindingKind.BRANCH and instance.repository.lower() == project.repository.lower():
        wanted = expected_branches(project)[instance.environment.kind]
        return {
            "url": reverse("branch-repair", args=[instance.pk]), "label": "Repair", "value": wanted,
            "question": f"Railway will deploy {instance} from {wanted} from now on.", "button": f"Follow {wanted}",
        }  # fmt: skip
    if finding.kind == FindingKind.PUSH:
        return {
            "url": reverse("push-repair", args=[instance.pk]), "label": "Repair", "value": "on",
            "question": f"Every push to {instance.branch} will deploy {instance}.", "button": "Deploy on push",
        }  # fmt: skip
    head = heads.get(instance.branch)
    if finding.kind == FindingKind.BEHIND and head:
        return {
            "url": reverse("head-deploy", args=[instance.pk]), "label": "Deploy this commit", "value": head,
            "question": f"Railway will deploy {head[:7]} on {instance}.", "button": f"Deploy {head[:7]}",
        }  # fmt: skip
    return None


def _repairs(project: Project) -> dict[str, Any]:
    """The latest repairs, and the last that was about staging and main. One query."""
    rows = list(Repair.objects.filter(project=project).select_related("requested_by")[:REPAIRS_SHOWN])
    level = next((one for one in rows if one.kind == RepairKind.SYNC_STAGING), None)
    return {"repairs": rows, "level": level, "diverged": bool(level and level.result == staging.DIVERGED)}


def _matrix(project: Project) -> dict[str, Any]:
    environments = Environment.objects.filter(project=project, gone_at=None)
    columns = sorted(environments.annotate(place_rows=_places()), key=lambda one: (ORDER.get(one.kind, 2), one.name))
    instances = ServiceInstance.objects.filter(environment__in=columns, service__gone_at=None).select_related("service")
    current: dict[int, list[Deployment]] = defaultdict(list)
    deployments = Deployment.objects.filter(Q(is_latest=True) | Q(is_active=True), instance__environment__in=columns)
    for one in deployments:
        current[one.instance_id].append(one)
    expected = expected_branches(project)
    cells: dict[str, dict[int, service_panels.Cell]] = defaultdict(dict)
    by_key = {column.pk: column for column in columns}
    named = {}
    for instance in instances:
        instance.environment = by_key[instance.environment_id]
        # Of two environments with one name the findings are about the one that counts.
        if instance.environment.kind in expected or str(instance)[:300] not in named:
            named[str(instance)[:300]] = instance
        live = live_of(instance, current[instance.pk], project.repository)
        wanted = expected.get(instance.environment.kind, "")
        cells[instance.service.name][instance.environment_id] = service_panels.cell(live, wanted)
    twice = Counter(column.name for column in columns)
    told_apart = [column.railway_id[:8] if twice[column.name] > 1 else "" for column in columns]
    table = [(service_panels.heading(name, row.values()), [row.get(column.pk) for column in columns])
             for name, row in sorted(cells.items())]  # fmt: skip
    return {
        "columns": columns,
        "groups": _groups(list(zip(columns, told_apart, strict=True)), table, _database_rows(columns)),
        "table": table,
        "instances": named,
    }


@dataclass(frozen=True)
class _Group:
    """Columns of the matrix that are shown together; `title` "" for those that are always open."""

    title: str
    heads: list[tuple[Environment, str]]
    table: list[tuple[Any, list[Any]]]
    databases: list[tuple[str, list[Any]]]


def _groups(heads: list[tuple[Environment, str]], table: list[tuple[Any, list[Any]]], databases: Any) -> list[_Group]:
    """The matrix as one table, or with the previews in one of their own where they are many."""
    previews = [n for n, (column, _) in enumerate(heads) if column.kind == "preview"]
    others = [n for n in range(len(heads)) if n not in previews]
    parts = [("", others), (f"{len(previews)} previews", previews)]
    if len(previews) <= PREVIEWS_BESIDE:
        parts = [("", list(range(len(heads))))]
    return [
        _Group(
            title,
            [heads[n] for n in shown],
            [(row, [cells[n] for n in shown]) for row, cells in table],
            [(name, [places[n] for n in shown]) for name, places in databases],
        )
        for title, shown in parts
    ]


def _places() -> ArraySubquery:
    """Each environment's databases, in the query of environments."""
    places = EnvironmentDatabase.objects.filter(environment=OuterRef("pk")).exclude(database__alembic="")
    names = ("database_id", "revisions", "revisions_at", "revisions_problem")
    row = JSONObject(name="database__name", **{name: name for name in names})
    return ArraySubquery(places.order_by("database__position", "database_id").values(row=row))


def _database_rows(columns: list[Any]) -> list[tuple[str, list[EnvironmentDatabase | None]]]:
    """A row of the table for each database that was read: its name, where there are several, and each environment's."""
    names = {one["database_id"]: one.pop("name") for column in columns for one in column.place_rows}
    found: dict[int, dict[int, EnvironmentDatabase]] = {id: {} for id in names}
    for column in columns:
        for one in column.place_rows:
            at = one.pop("revisions_at")
            found[one["database_id"]][column.pk] = EnvironmentDatabase(revisions_at=at and parse_datetime(at), **one)
    several = len(names) > 1
    return [(names[id] if several else "", [row.get(column.pk) for column in columns]) for id, row in found.items()]


@page
def resolve(request: HttpRequest, pk: int) -> HttpResponse:
    """Closes a finding by a person's reason."""
    finding = get_object_or_404(Finding.objects.select_related("project"), pk=pk)
    then = f"{reverse('environments')}?project={finding.project.slug}#findings"
    if request.method != "POST":
        return HttpResponseRedirect(then)
    reason = request.POST.get("reason", "").replace("\x00", "")
    again = finding.kind != FindingKind.BYPASS
    said = f"The finding is closed{'; it opens again if the next reading still sees it' if again else ''}."
    return perform(request, then, lambda: actions.resolve_finding(finding, actor=request.user, reason=reason), said)


@page
def connections(request: HttpRequest) -> HttpResponse:
    """What each credential is and can do here, as it was last found out. One query."""
    check = ConnectionCheck.objects.first()
    context = {"check": check, "waiting": bool(check and (check.checked_at is None or check.wake_at <= timezone.now()))}
    return render(request, "environments/connections.html", context)


@page
def check_connections(request: HttpRequest) -> HttpResponse:
    """Has the credentials looked at again."""
    then = reverse("connections")
    if request.method != "POST":
        return HttpResponseRedirect(then)
    check = ConnectionCheck.objects.first() or ConnectionCheck(single=True)
    said = "The connections are being checked."
    return perform(request, then, lambda: actions.check_connections(check, actor=request.user), said)


@page
def pin_host_keys(request: HttpRequest, slug: str) -> HttpResponse:
    """Pins the host keys that the person compared."""
    then = reverse("connections")
    if request.method != "POST":
        return HttpResponseRedirect(then)
    key = get_object_or_404(DeployKey.objects.select_related("project").defer("private_key"), project__slug=slug)
    chosen = [one[:100].replace("\x00", "") for one in request.POST.getlist("fingerprint")[:20]]
    said = "The host keys are pinned; the connection is being tried again."
    return perform(request, then, lambda: actions.pin_host_keys(key, actor=request.user, fingerprints=chosen), said)


@page
def sync_staging(request: HttpRequest, slug: str) -> HttpResponse:
    """Has staging brought level with main."""
    project = get_object_or_404(Project, slug=slug)
    said = "Both branches are being looked at; what came of it stands below."
    return _ask(request, project, lambda: actions.sync_staging(project, actor=request.user), said)


@page
def back_merge(request: HttpRequest, slug: str) -> HttpResponse:
    """Has a pull request opened that merges main back into staging."""
    project = get_object_or_404(Project, slug=slug)
    said = "The pull request is being opened."
    return _ask(request, project, lambda: actions.open_back_merge(project, actor=request.user), said)


@page
def repair_branch(request: HttpRequest, pk: int) -> HttpResponse:
    """Has a service follow the branch that the person confirmed."""
    wanted = request.POST.get("value", "")[:200].replace("\x00", "")
    return _put_right(request, pk, lambda one: actions.repair_branch(one, actor=request.user, wanted=wanted))


@page
def repair_push(request: HttpRequest, pk: int) -> HttpResponse:
    """Has a service deployed on push again."""
    return _put_right(request, pk, lambda one: actions.switch_push_on(one, actor=request.user))


@page
def deploy_head(request: HttpRequest, pk: int) -> HttpResponse:
    """Has the commit deployed that the person confirmed."""
    commit = request.POST.get("value", "")[:64].replace("\x00", "")
    return _put_right(request, pk, lambda one: actions.deploy_head(one, actor=request.user, commit=commit))


def _put_right(request: HttpRequest, pk: int, act: Callable[[ServiceInstance], Any]) -> HttpResponse:
    """Does it to the service in its environment, or says that Railway no longer has it."""
    instance = ServiceInstance.objects.select_related("service__project", "environment").filter(pk=pk).first()
    if instance is not None:
        return _ask(request, instance.service.project, lambda: act(instance), "Railway is being told.")
    messages.error(request, "This service was deleted on Railway, so nothing was done; look at the page again.")
    return HttpResponseRedirect(reverse("environments"))


def _ask(request: HttpRequest, project: Project, act: Callable[[], Any], said: str) -> HttpResponse:
    """Does what was posted and goes back to the project's environments; a mere look does nothing."""
    then = f"{reverse('environments')}?project={project.slug}#repairs"
    return perform(request, then, act, said) if request.method == "POST" else HttpResponseRedirect(then)


@page
def migrations(request: HttpRequest) -> HttpResponse:
    """Where every database stands, every migration run, newest first, and rehearsals. Ten queries."""
    runs = MigrationRun.objects.select_related("environment__project", "database", "requested_by").defer("log")
    before = request.GET.get("before", "")
    if before.isdecimal() and len(before) < 19:
        runs = runs.filter(pk__lt=int(before))
    found = list(runs.order_by("-pk")[: RUNS_SHOWN + 1])
    older = found[RUNS_SHOWN - 1].pk if len(found) > RUNS_SHOWN else None
    context: dict[str, Any] = {"runs": found[:RUNS_SHOWN], "older": older, "first_page": not before}
    context["several"] = with_several_databases()
    if not before:
        rehearsals = Rehearsal.objects.select_related("environment__project", "database", "requested_by")
        context["rehearsals"] = rehearsals.defer("statements", "changes", "files")[:REHEARSALS_SHOWN]
        context |= standing_views.context(request)
    return render(request, "environments/migrations.html", context)


@page
def migration(request: HttpRequest, pk: int) -> HttpResponse:
    """One run: what it was to do, what it did, and its log while it is written."""
    return render(request, "environments/migration.html", _run_context(pk))


@page
def migration_panels(request: HttpRequest, pk: int) -> HttpResponse:
    """The run page's moving parts, for the poll."""
    return render(request, "environments/migration_panels.html", _run_context(pk))


@page
def migration_log(request: HttpRequest, pk: int) -> HttpResponse:
    """The end of the log alone; status 286 tells htmx that nothing more will come."""
    run = get_object_or_404(_with_tail().only("status", "log_bytes"), pk=pk)
    status = 200 if run.is_open else 286
    return render(request, "environments/migration_panels.html#log", {"run": run}, status=status)


def _with_tail() -> Any:
    return MigrationRun.objects.annotate(tail=Right("log", LOG_CHARS))


def _run_context(pk: int) -> dict[str, Any]:
    """The run with the end of its log, and its revisions as rows. One query."""
    runs = _with_tail().select_related("environment__project", "database", "requested_by", "approved_by").defer("log")
    run = get_object_or_404(runs, pk=pk)
    planned = {one["id"]: one for one in run.planned}
    seconds = {one[0]: one[1] for one in run.applied}
    rows = []
    for revision in dict.fromkeys([*planned, *seconds]):
        state = "pass" if revision in seconds else "fail" if revision == run.failed_revision else "closed"
        rows.append((revision, state, seconds.get(revision), planned.get(revision, {})))
    return {
        "run": run,
        "environment": run.environment,
        "project": run.environment.project,
        "rows": rows,
        "aftermath": aftermath_of(run),
        "pulse": 1 if run.is_open else 0,
    }


@page
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    """Asks the worker to stop the run."""
    run = get_object_or_404(MigrationRun.objects.select_related("environment__project", "database").defer("log"), pk=pk)
    then = reverse("migration", args=[pk])
    if request.method != "POST":
        return HttpResponseRedirect(then)
    said = "The run is being stopped; the database is read afterwards."
    return perform(request, then, lambda: actions.cancel_migration(run, actor=request.user), said)


@page
def retry(request: HttpRequest, pk: int) -> HttpResponse:
    """Starts a new run of the same commit, which goes on from where the database is."""
    run = get_object_or_404(MigrationRun.objects.select_related("environment__project", "database").defer("log"), pk=pk)
    then = reverse("migration", args=[pk])
    if request.method != "POST":
        return HttpResponseRedirect(then)
    fresh: list[MigrationRun] = []
    said = "A new run is queued."
    answer = perform(request, then, lambda: fresh.append(actions.retry_migration(run, actor=request.user)), said)
    return HttpResponseRedirect(reverse("migration", args=[fresh[0].pk])) if fresh else answer


@page
def protections_(request: HttpRequest) -> HttpResponse:
    """What is to bind each long-lived branch beside what does. Five queries whatever the counts."""
    projects = list(Project.objects.select_related("protection_sync"))
    slug = request.GET.get("project", "")
    project = next((one for one in projects if one.slug == slug), projects[0] if projects else None)
    context: dict[str, Any] = {"projects": projects, "project": project}
    if project is not None:
        rows = {row.branch: row for row in BranchProtection.objects.filter(project=project)}
        repairs = Repair.objects.filter(project=project, kind=RepairKind.PROTECT).select_related("requested_by")
        latest: dict[str, Repair] = {}
        for repair in repairs[:REPAIRS_SHOWN]:
            latest.setdefault(repair.subject, repair)
        context["branches"] = [
            (
                branch,
                rows.get(branch),
                latest.get(branch),
                json.dumps(protections.body_for(project, branch), indent=2),
                protections.clicks(project, branch),
            )
            for branch in protections.branches(project)
        ]
        main = Branch.objects.filter(project=project, name=project.production_branch).only("merge_rules").first()
        context["deletes_heads"] = bool(main and (main.merge_rules or {}).get("deletes_heads"))
        context["sync"] = getattr(project, "protection_sync", None)
    return render(request, "environments/protections.html", context)


@page
def protect(request: HttpRequest, slug: str) -> HttpResponse:
    """Has a branch protected as it should be."""
    project = get_object_or_404(Project, slug=slug)
    then = f"{reverse('protections')}?project={project.slug}"
    if request.method != "POST":
        return HttpResponseRedirect(then)
    branch = request.POST.get("value", "").replace("\x00", "")
    if request.POST.get("keep_heads"):
        said = "Automatically delete head branches is being switched off."
        return perform(request, then, lambda: actions.keep_heads(project, actor=request.user), said)
    said = f"{branch} is being protected, and read again."
    return perform(request, then, lambda: actions.protect_branch(project, actor=request.user, branch=branch), said)
