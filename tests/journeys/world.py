"""The world around the portal for a journey: stand-ins over real sockets, target databases, and the worker."""

import functools
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psycopg
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.utils import timezone
from psycopg import sql

from environments.models import Project
from portal import jobs, roles
from portal.sandbox import databases, sample
from portal.sandbox.github import GitHubStandIn
from portal.sandbox.railway import RailwayStandIn
from portal.sandbox.server import Server
from releases import setup
from releases.models import ChecklistTemplateItem

PEOPLE = {"alice": "Release managers", "bob": "Approvers", "carol": "Auditors", "dave": "Administrators"}


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

    def person(self, name: str):
        """alice, bob, carol or dave, fresh from the database."""
        return get_user_model().objects.get(username=name)

    def work(self, until: Callable[[], bool], *, seconds: float = 30) -> None:
        """Runs what is due, as the worker does, until `until` holds; fails loudly when it never does."""
        deadline = time.monotonic() + seconds
        while not until():
            if time.monotonic() > deadline:
                raise AssertionError(f"It never came true. {self.told()}")
            run_due()
            time.sleep(0.02)

    def told(self) -> str:
        """What the open jobs say, for a failing test."""
        rows = (row for model in jobs.job_models() for row in model.objects.all())
        return " | ".join(f"{row._meta.model_name} {row.status}: {row.sentence}" for row in rows)

    def revisions(self, kind: str) -> list[str]:
        """What the database itself reports."""
        with psycopg.connect(self.databases[kind]) as connection:
            return sorted(row[0] for row in connection.execute("select version_num from alembic_version"))

    def sent(self, method: str, path: str) -> list[str]:
        """The bodies of every request of that kind that GitHub got."""
        return [one.body for one in self.github_server.requests if one.method == method and path in one.path]


def run_due() -> None:
    """One round of the worker, without its processes: every job whose time has come."""
    for model in jobs.job_models():
        for pk in model.objects.filter(status__in=jobs.OPEN, wake_at__lte=timezone.now()).values_list("pk", flat=True):
            jobs.wake(model._meta.label, pk)


@contextmanager
def running_world(directory: Path, override, *, rehearse: bool = False) -> Iterator[World]:
    """Starts the stand-ins over the sample and connects a project to them; stops all of it again.

    Rehearsals start servers of their own: most journeys do without them, and without their checklist item.
    """
    built = sample.build(directory / "sample")
    github = GitHubStandIn(directory / "github", owner="acme", name="inspector")
    github_server = Server(github).start()
    github.url = github_server.url
    sample.populate(github, built)
    targets = {kind: _create_database(kind) for kind in ("staging", "production")}
    railway = RailwayStandIn(
        directory / "railway",
        repository=directory / "github" / "repository.git",
        repository_name="acme/inspector",
        seconds_per_state=0.02,
    )
    railway_server = Server(railway).start()
    _furnish(railway, github, targets, built)
    override.GITHUB_API_URL = override.GITHUB_GIT_URL = github_server.url
    override.RAILWAY_API_URL = f"{railway_server.url}/graphql/v2"
    override.GITHUB_TOKEN, override.RAILWAY_API_TOKEN = "sandbox-github-token", "sandbox-railway-token"
    override.SYNC_SECONDS, override.DEPLOY_GRACE_SECONDS = 0.2, 3.0
    override.REHEARSE = rehearse
    override.VAR_DIR = directory / "var"
    override.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    roles.ensure()
    for name, role in PEOPLE.items():
        user = get_user_model().objects.create_user(name, password="a-long-password", is_staff=True)
        user.groups.add(Group.objects.get(name=role))
    project = setup.connect(
        name="inspector",
        repository="acme/inspector",
        railway_project_id=railway.project_id,
        alembic=sample.ALEMBIC,
        soak_minutes=0,
        smoke=[("backend", "/health"), ("frontend", "/")],
    )
    if not rehearse:
        ChecklistTemplateItem.objects.filter(gate="rehearsed").delete()
    try:
        repository = directory / "github" / "repository.git"
        yield World(github, railway, github_server, railway_server, targets, project, repository)
    finally:
        github_server.stop()
        github.hooks.stop()
        railway_server.stop()
        railway.stop()
        for url in targets.values():
            _drop_database(url)


def _furnish(railway: RailwayStandIn, github: GitHubStandIn, databases: dict[str, str], built: sample.Sample) -> None:
    branches = {"staging": "staging", "production": "main"}
    for kind in branches:
        railway.add_environment(kind)
    for service in ("backend", "frontend"):
        railway.add_service(service, service)
    for kind, branch in branches.items():
        railway.set_variable(kind, "backend", "DATABASE_URL", databases[kind])
        for service in ("backend", "frontend"):
            railway.set_trigger(service, kind, branch)
            railway.deploy(service, kind, built.branches[branch], live=True)
    github.on_push.append(railway.pushed)


@functools.cache
def _template() -> str:
    """A database where main's migrations have run, made once and copied for every journey.

    Staging begins there too: it has not run the release's migrations yet.
    """
    with tempfile.TemporaryDirectory() as folder:
        built = sample.build(Path(folder) / "sample")
        url = databases.create(f"{_admin()}/postgres", f"target_template_{uuid4().hex[:8]}")
        databases.bring_to_branch_head(url, built.path, built.branches["main"], sample.ALEMBIC)
    return url.rsplit("/", 1)[1]


def _admin() -> str:
    values = settings.DATABASES["default"]
    return f"postgresql://{values['USER']}:{values['PASSWORD']}@{values['HOST']}:{values['PORT']}"


def _create_database(kind: str) -> str:
    name = f"target_{kind}_{uuid4().hex[:8]}"
    with psycopg.connect(f"{_admin()}/postgres", autocommit=True) as connection:
        copy = sql.SQL("create database {} template {}").format(sql.Identifier(name), sql.Identifier(_template()))
        connection.execute(copy)
    return f"{_admin()}/{name}"


def _drop_database(url: str) -> None:
    name = url.rsplit("/", 1)[1]
    with psycopg.connect(f"{_admin()}/postgres", autocommit=True) as connection:
        connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))
