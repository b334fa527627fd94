"""What the page of environments shows of services, and what a person may say about one."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_POST

from environments.models import (
    ENDED_BADLY,
    SERVING,
    UNDER_WAY,
    EnvironmentKind,
    Project,
    Service,
    ServiceInstance,
)
from environments.overview import actions
from environments.overview.forms import ANSWERS, PlaceForm
from environments.railway.dashboard import deployment_page
from environments.railway.deployment_states import FAIL, PASS, PENDING, running
from environments.services.liveness import Live, serves_instead, unread
from environments.services.roles import Role
from environments.smoke.probe import address_of
from portal.configuration.admin import tell
from portal.ui.site import page, run_action

STATE = {PASS: "pass", PENDING: "wait", FAIL: "fail"}


@dataclass(frozen=True)
class Cell:
    """One service in one environment: its source, what it should follow and serves, how it is."""

    live: Live
    expected: str
    state: str
    status: str
    source: str
    page: str = ""  # Railway's, of the newest deployment

    @property
    def instance(self) -> ServiceInstance:
        return self.live.instance

    @property
    def follows(self) -> bool:
        return self.live.role is Role.CODE and bool(self.instance.repository)

    @property
    def wrong(self) -> bool:
        """Whether it follows another branch than it should."""
        counts = self.tells_pushes and self.live.counts
        return counts and self.instance.branch != self.expected

    @property
    def tells_pushes(self) -> bool:
        return bool(self.expected and self.follows)

    @property
    def commit(self) -> str:
        return next((deployment.commit for deployment in self.live.active), "")

    @property
    def domain(self) -> str:
        return self.instance.domains[0] if self.instance.domains else ""

    @property
    def address(self) -> str:
        return (address_of(self.domain, "/") if self.domain else "") or ""


@dataclass(frozen=True)
class Heading:
    """A service, and whether a release waits for it; `said`: by whose word."""

    name: str
    service: Service
    counts: bool
    said: str

    @property
    def answer(self) -> str:
        return next(name for name, value in ANSWERS.items() if value is self.service.belongs)


def cell(live: Live, expected: str, project: Project, since: datetime) -> Cell:
    """Return the cell of a service. `expected`: the branch that services of its environment follow,
    "" where there is none.

    What was read before `since` is told as what it is: of then.
    """
    state, status = _state(live)
    if live.instance.seen_at is not None and unread(live, since):
        state, status = PENDING, f"last seen: {status}"
    return Cell(live, expected, STATE[state], status, _source(live), _page(live, project))


def _page(live: Live, project: Project) -> str:
    if live.latest is None:
        return ""
    service, environment = live.instance.service, live.instance.environment
    ids = service.railway_id, environment.railway_id, live.latest.railway_id
    return deployment_page(project.railway_project_id, *ids)


def _state(live: Live) -> tuple[str, str]:
    """Return how the newest deployment is; what serves instead of a skipped one is judged."""
    latest = live.latest
    if live.instance.seen_at is None:
        return PENDING, "being read"
    if latest is None:
        preview = live.instance.environment.kind == EnvironmentKind.PREVIEW
        return (PENDING, "no deployment yet") if preview else (FAIL, "no deployment")
    if latest.status == "SKIPPED" and serves_instead(live, latest.commit) == "":
        return PASS, "nothing it watches changed"
    scheduled = bool(live.instance.cron)
    state, words = running(
        latest.status, stopped=latest.stopped, containers=latest.containers, scheduled=scheduled
    )
    plain = latest.status.lower().replace("_", " ") or "status unknown"
    if latest.status not in SERVING | UNDER_WAY | ENDED_BADLY:
        return PENDING, plain
    if latest.status not in SERVING or state == PASS:
        at = f", runs at {live.instance.cron}" if scheduled and state == PASS else ""
        return state, f"{plain}{at}"
    return state, words


def _source(live: Live) -> str:
    """Return where what it runs comes from, unless that is the project's repository."""
    return {
        Role.IMAGE: f"image {live.instance.image}",
        Role.ELSEWHERE: (
            f"built from {live.instance.repository}, branch {live.instance.branch or 'unknown'}"
        ),
        Role.UPLOADED: "uploaded by Railway's CLI, without a commit",
        Role.EMPTY: "nothing was deployed yet",
    }.get(live.role, "not built from GitHub")


def heading(name: str, cells: Iterable[Cell]) -> Heading:
    """Return the first column of a service's row; `cells` are its environments, at least one."""
    lives = [cell.live for cell in cells]
    service, counts = lives[0].instance.service, any(live.counts for live in lives)
    message = "is part of the release" if counts else "not part of the release"
    by_people = "" if service.belongs is None else ", as people say"
    return Heading(name, service, counts, f"{message}{by_people}")


@page
@require_POST
def place(request: HttpRequest, pk: int) -> HttpResponse:
    """Take a person's word on whether a service is part of the release."""
    service = get_object_or_404(Service.objects.select_related("project"), pk=pk)
    then = f"{reverse('environments:environments')}?project={service.project.slug}#matrix-h"

    def act(actor: User, belongs: bool | None) -> None:
        made = actions.place_service(service, actor=actor, belongs=belongs)
        tell(request, made, f"Noted for {service}.")

    return run_action(request, then, act, form=PlaceForm(request.POST))
