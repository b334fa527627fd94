"""Search: pages, projects, releases, pull requests, services and migrations by a few letters.

The palette (Ctrl+K) asks for the list alone; without scripts it is a page.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from environments.models import MigrationRun, Project, Service
from portal.ui.site import by_htmx, page
from releases.models.pull_requests import PullRequest
from releases.models.releases import Release

MOST = 6  # of each kind
PAGES = (
    ("Board", "releases:board"),
    ("Releases", "releases:releases"),
    ("Pull requests", "releases:pulls"),
    ("Environments", "environments:environments"),
    ("Previews", "environments:previews"),
    ("Variables", "environments:variables"),
    ("Migrations", "environments:migrations"),
    ("Protections", "environments:protections"),
    ("Connections", "environments:connections"),
    ("Status", "portal:status"),
    ("Audit", "portal:audit"),
    ("Changes", "portal:changes"),
    ("Notifications", "releases:notifications"),
    ("Configuration", "admin:index"),
)


@dataclass(frozen=True)
class Found:
    """One thing that was found: of which kind, its name, and where it is."""

    kind: str
    name: str
    address: str


@page
def search(request: HttpRequest) -> HttpResponse:
    """Show what the typed letters find; everybody with a role may read all of it."""
    typed = request.GET.get("q", "").replace("\x00", "").strip()[:100]
    name = "_found.html" if by_htmx(request) else "search.html"
    return render(request, f"releases/pages/search/{name}", {"q": typed, "found": find(typed)})


def find(typed: str) -> list[Found]:
    """Return at most `MOST` of each kind; pages alone when nothing is typed."""
    pages = [
        Found("Page", name, reverse(address))
        for name, address in PAGES
        if typed.lower() in name.lower()
    ]
    if not typed:
        return pages
    return [*_releases(typed), *_pulls(typed), *pages[:MOST], *_places(typed), *_runs(typed)]


def _releases(typed: str) -> Iterable[Found]:
    fits = Q(name__icontains=typed) | Q(candidate__startswith=typed.lower())
    rows = Release.objects.filter(fits | Q(merge_commit__startswith=typed.lower()))
    for row in rows.select_related("project").only("name", "project__name")[:MOST]:
        address = reverse("releases:release", args=[row.pk])
        yield Found("Release", f"{row.name} · {row.project.name}", address)


def _pulls(typed: str) -> Iterable[Found]:
    number = typed.removeprefix("#")
    fits = Q(title__icontains=typed)
    if number.isdecimal() and len(number) < 9:
        fits |= Q(number=int(number))
    rows = PullRequest.objects.filter(fits).select_related("project").order_by("-number")
    for row in rows[:MOST]:
        if row.url.startswith(("https://", "http://")):
            yield Found("Pull request", f"#{row.number} {row.title}", row.url)


def _places(typed: str) -> Iterable[Found]:
    environments = reverse("environments:environments")
    for project in Project.objects.filter(name__icontains=typed)[:MOST]:
        yield Found("Project", project.name, f"{environments}?project={project.slug}")
    rows = Service.objects.filter(name__icontains=typed, gone_at=None).select_related("project")
    for service in rows[:MOST]:
        name = f"{service.name} · {service.project.name}"
        yield Found("Service", name, f"{environments}?project={service.project.slug}")


def _runs(typed: str) -> Iterable[Found]:
    fits = Q(target__contains=[typed]) | Q(failed_revision=typed)
    if len(typed) >= 7:
        fits |= Q(commit__startswith=typed.lower())
    rows = MigrationRun.objects.filter(fits).select_related("environment", "database")
    for run in rows.defer("log").order_by("-pk")[:MOST]:
        yield Found("Migration", str(run), reverse("environments:migration", args=[run.pk]))
