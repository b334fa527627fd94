"""The world around the portal for a journey: stand-ins over real sockets, target databases, and
the worker.
"""

import functools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import connection
from django.db.models import Value
from django.utils import timezone

from environments.models import Project
from portal import jobs
from portal.accounts import roles
from portal.jobs import running
from portal.sandbox import sample, shapes
from portal.sandbox.github import GitHubStandIn
from portal.sandbox.railway import RailwayStandIn
from portal.sandbox.server import Server
from portal.sandbox.shapes import Shape
from releases.models.checklist import ChecklistTemplateItem
from releases.project_settings import connect
from tests.journeys.clock import Clock, set_by
from tests.journeys.furnished import create_database, drop_database, stand_ins

PEOPLE = {
    "alice": "Release managers",
    "bob": "Approvers",
    "carol": "Auditors",
    "dave": "Administrators",
}


@dataclass
class World:
    """Everything a journey can look at or break."""

    github: GitHubStandIn
    railway: RailwayStandIn
    github_server: Server
    railway_server: Server
    databases: dict[str, str]
    project: Project
    repository: Path
    clock: Clock | None = None
    shape: Shape = shapes.PLAIN

    def person(self, name: str):
        """alice, bob, carol or dave, fresh from the database."""
        return get_user_model().objects.get(username=name)

    def work(self, until: Callable[[], bool], *, seconds: float = 30) -> None:
        """Runs what is due, as the worker does, until `until` holds; fails loudly when it never
        does.
        """
        deadline = time.monotonic() + seconds
        while not until():
            if time.monotonic() > deadline:
                raise AssertionError(f"It never came true. {self.told()}")
            if not run_due():
                self._wait()

    def _wait(self) -> None:
        """Until the next job is due: by putting the clock forward, where the world has one of
        its own.
        """
        moments = [wake_at for *_, wake_at in _open_jobs()]
        if self.clock and moments:
            self.clock.reach(min(moments))
        else:
            time.sleep(0.02)

    def told(self) -> str:
        """What the open jobs say, for a failing test."""
        rows = (row for model in jobs.job_models() for row in model.objects.all())
        return " | ".join(f"{row._meta.model_name} {row.status}: {row.sentence}" for row in rows)

    def revisions(self, kind: str) -> list[str]:
        """What the database itself reports."""
        with psycopg.connect(self.databases[kind]) as connection:
            return sorted(
                row[0] for row in connection.execute("select version_num from alembic_version")
            )

    def sent(self, method: str, path: str) -> list[str]:
        """The bodies of every request of that kind that GitHub got."""
        return [
            request.body
            for request in self.github_server.requests
            if request.method == method and path in request.path
        ]


def run_due() -> int:
    """One round of the worker, without its processes: every job whose time has come.

    Returns how many.
    """
    now = timezone.now()
    due = [(label, pk) for label, pk, wake_at in _open_jobs() if wake_at <= now]
    for label, pk in due:
        running.wake(label, pk)
    return len(due)


def _open_jobs() -> list[tuple[str, int, datetime]]:
    """Every job of any kind that has not ended, and when it is due; one query."""
    with connection.cursor() as cursor:
        cursor.execute(*_asking_for_jobs())
        return cursor.fetchall()


@functools.cache
def _asking_for_jobs() -> tuple[str, tuple]:
    """The query and its parameters, worked out once: it is asked in every round."""
    first, *others = (
        model.objects.filter(status__in=jobs.OPEN)
        .order_by()
        .annotate(label=Value(model._meta.label))
        .values_list("label", "pk", "wake_at")
        for model in jobs.job_models()
    )
    return first.union(*others, all=True).query.sql_with_params()


@contextmanager
def running_world(
    directory: Path,
    override,
    *,
    rehearse: bool = False,
    clock: Clock | None = None,
    shape: Sequence[str] = (),
    connected: bool = True,
) -> Iterator[World]:
    """Starts the stand-ins over the sample and connects a project to them; stops all of it again.

    Without `connected` the portal's database stays empty, and no credential is set.

    `shape` names what the project looks like, of `portal.sandbox.shapes`. Rehearsals start servers
    of their own: most journeys do without them, and without their checklist item. With a `clock`
    the waiting between two readings takes no time; where other processes or a browser take part
    there is none, for they would not know it.
    """
    look = shapes.combined(shape)
    made = {
        target.key: create_database(target.key, look, target.alembic) for target in look.targets("")
    }
    targets = {kind: url for kind, (url, _) in made.items()}
    now = clock.now if clock else lambda: datetime.now(UTC)
    github, railway = stand_ins(directory, targets, now, shape)
    github.on_push.append(railway.pushed)
    github_server, railway_server = Server(github).start(), Server(railway).start()
    github.url = github_server.url
    override.GITHUB_API_URL = override.GITHUB_GIT_URL = github_server.url
    override.RAILWAY_API_URL = f"{railway_server.url}/graphql/v2"
    override.GITHUB_TOKEN = "sandbox-github-token" if connected else ""
    override.RAILWAY_API_TOKEN = "sandbox-railway-token" if connected else ""
    override.SYNC_SECONDS, override.DEPLOY_GRACE_SECONDS = 3.0 if clock else 0.2, 3.0
    override.REHEARSE = rehearse
    override.VAR_DIR = directory / "var"
    override.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    project = _people_and_project(railway, look) if connected else Project()
    if not rehearse and connected:
        ChecklistTemplateItem.objects.filter(gate="rehearsed").delete()
    try:
        repository = directory / "github" / "repository.git"
        yield World(
            github,
            railway,
            github_server,
            railway_server,
            targets,
            project,
            repository,
            clock,
            look,
        )
    finally:
        github_server.stop()
        github.hooks.stop()
        railway_server.stop()
        railway.stop()
        for kind, (url, written) in made.items():
            drop_database(kind, url, written)


@contextmanager
def quick_world(
    directory: Path, override, *, rehearse: bool = False, shape: Sequence[str] = ()
) -> Iterator[World]:
    """A world with a clock of its own, which the portal and the stand-ins go by."""
    clock = Clock()
    with (
        set_by(clock),
        running_world(directory, override, rehearse=rehearse, clock=clock, shape=shape) as world,
    ):
        yield world


def _people_and_project(railway: RailwayStandIn, shape: Shape) -> Project:
    roles.ensure()
    for name, role in PEOPLE.items():
        user = get_user_model().objects.create_user(name, password="a-long-password", is_staff=True)
        user.groups.add(Group.objects.get(name=role))
    # Most journeys are about something else than approvals.
    wanted = {
        "alembic": sample.ALEMBIC,
        "soak_minutes": 0,
        "required_approvals": 0,
        "protected_checks": ["python-ci"],
    } | shape.project()
    return connect.connect(
        name="inspector",
        repository="acme/inspector",
        railway_project_id=railway.project_id,
        smoke=[("backend", "/health"), ("frontend", "/")],
        pages=sample.KEY_PAGES,
        **wanted,
    )
