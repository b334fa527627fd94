"""What keeping in step costs: calls to GitHub and Railway, counted where they arrive, and SQL
queries.

`python -m tests.bench.sync`. The stand-ins serve real repositories over real sockets. Promised for
60 pull requests, 12 services and 4 environments: at most 5 calls when nothing is known yet and at
most 3 when nothing changed; and for 10 environments one call to Railway; the same number of SQL
queries whatever the counts, at most 71. Exit status 1 if not.
"""

from tests.scratch import scratch_database  # first: it sets Django up

# isort: split
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext, override_settings
from django.urls import reverse
from django.utils import timezone

from environments.models import Finding, Project, ServiceInstance
from environments.railway_mirror.jobs import sync_railway
from portal.sandbox import sample
from portal.sandbox.github import GitHubStandIn
from portal.sandbox.railway import RailwayStandIn
from portal.sandbox.server import Server
from releases.github_mirror.jobs import sync_github
from releases.models.pull_requests import PullRequest
from releases.project_settings import connect
from tests.bench.pages import Browser
from tests.bench.pages import queries as queries_of
from tests.factory import make_people

PULLS, SERVICES, ENVIRONMENTS, MANY = 60, 12, 4, 10
LARGE = (60, 60, 12)
MOST_COLD, MOST_WARM = 5, 3
MOST_QUERIES = 71  # of both readings together, whatever there is


@dataclass(frozen=True)
class Scene:
    """A project in the portal and the two stand-ins that it mirrors."""

    project: Project
    github: GitHubStandIn
    railway: RailwayStandIn
    servers: tuple[Server, Server]


@dataclass(frozen=True)
class Cost:
    """What one reading of both sources took."""

    github: int
    railway: int
    queries: int
    seconds: float

    @property
    def calls(self) -> int:
        return self.github + self.railway


@contextmanager
def scene(name: str, *, pulls: int, services: int, environments: int) -> Iterator[Scene]:
    """Stand-ins that hold that many, and a project that has not been read yet; all stopped at
    the end.
    """
    with tempfile.TemporaryDirectory(prefix="portal-bench-") as folder:
        github = _github(Path(folder), pulls)
        railway = _railway(Path(folder), github, services, environments)
        servers = Server(github).start(), Server(railway).start()
        github.url = servers[0].url
        changes = {"GITHUB_API_URL": github.url, "GITHUB_TOKEN": "sandbox-github-token"}
        changes |= {
            "RAILWAY_API_URL": f"{servers[1].url}/graphql/v2",
            "RAILWAY_API_TOKEN": "sandbox-railway-token",
        }
        try:
            with override_settings(**changes, SYNC_SECONDS=3600.0, VAR_DIR=Path(folder) / "var"):
                connected = connect.connect(
                    name=name, repository="acme/inspector", railway_project_id=railway.project_id
                )
                yield Scene(connected, github, railway, servers)
        finally:
            Project.objects.all().delete()  # the next one is of the same repository
            for server in servers:
                server.stop()
            github.hooks.stop()
            railway.stop()


def _github(folder: Path, pulls: int) -> GitHubStandIn:
    built = sample.build(folder / "sample")
    github = GitHubStandIn(folder / "github", owner="acme", name="inspector")
    sample.populate(github, built)
    for number in range(pulls - len(built.open)):
        github.push_commit(f"topic-{number}", {f"notes/{number}.txt": "x\n"}, f"Change {number}")
        github.open_pull(f"topic-{number}", "staging", f"Change {number}")
    return github


def _railway(
    folder: Path, github: GitHubStandIn, services: int, environments: int
) -> RailwayStandIn:
    source = {"repository": github.git.path, "repository_name": github.full_name}
    railway = RailwayStandIn(folder / "railway", **source, seconds_per_state=0)
    railway.world.save = lambda: None  # type: ignore[method-assign]  # thousands of rows, and no kill to survive
    branches = {"staging": "staging", "production": "main"}
    names = [*branches, *(f"pr-{number}" for number in range(environments - len(branches)))]
    for name in names:
        railway.add_environment(name)
    heads = github.heads()
    for number in range(services):
        railway.add_service(f"service-{number:02}")
        for name in names:
            branch = branches.get(name, "staging")
            railway.set_trigger(f"service-{number:02}", name, branch)
            railway.deploy(f"service-{number:02}", name, heads[branch], live=True)
    return railway


def read_both(at: Scene) -> Cost:
    """One reading of both sources, by the jobs themselves."""
    for server in at.servers:
        server.requests.clear()
    project = Project.objects.get(pk=at.project.pk)
    jobs: tuple[Any, Any] = (project.github_sync, project.railway_sync)
    began = time.perf_counter()
    with CaptureQueriesContext(connection) as seen:
        sync_github(jobs[0], now=timezone.now())
        sync_railway(jobs[1], now=timezone.now())
    seconds = time.perf_counter() - began
    sql = sum(
        not query["sql"].startswith(("SAVEPOINT", "RELEASE", "BEGIN", "COMMIT"))
        for query in seen.captured_queries
    )
    return Cost(len(at.servers[0].requests), len(at.servers[1].requests), sql, seconds)


def mirrored(at: Scene) -> tuple[int, int]:
    """How many open pull requests and service instances the portal knows of the project."""
    pulls = PullRequest.objects.filter(project=at.project, state="open", base="staging")
    return pulls.count(), ServiceInstance.objects.filter(environment__project=at.project).count()


def make_wrong(at: Scene) -> int:
    """Lets every service of staging follow another branch; returns how many findings there must
    be.
    """
    names = list(at.project.services.values_list("name", flat=True))
    for name in names:
        at.railway.set_trigger(name, "staging", "main")
    return len(names)


def main() -> int:
    """Prints the table; returns the exit status."""
    make_people()
    missed = False
    costs: dict[str, Cost] = {}
    sizes = {
        "small": (5, 2, 2),
        "promised": (PULLS, SERVICES, ENVIRONMENTS),
        "many": (PULLS, SERVICES, MANY),
        "large": LARGE,
    }
    matrix = {}
    with scene("first", pulls=5, services=1, environments=2) as at:
        read_both(at)  # writes the one row of the token's hourly limit
    for name, (pulls, services, environments) in sizes.items():
        with scene(name, pulls=pulls, services=services, environments=environments) as at:
            costs[f"{name}, cold"] = read_both(at)
            costs[f"{name}, nothing changed"] = read_both(at)
            missed |= mirrored(at) != (pulls, services * environments)
            make_wrong(at)
            read_both(at)
            costs[f"{name}, all of staging wrong"] = read_both(at)
            missed |= (
                Finding.objects.filter(project=at.project, kind="branch", closed_at=None).count()
                != services
            )
            browser = Browser(User.objects.get(username="dave"))
            page = f"{reverse('environments:environments')}?project={at.project.slug}"
            matrix[name] = queries_of(lambda: browser.get(page))  # noqa: B023
    print(
        f"small: 5 × 2 × 2; promised: {PULLS} × {SERVICES} × {ENVIRONMENTS}; many: {PULLS} ×"
        f" {SERVICES} × {MANY}"
    )
    print(f"large: {LARGE}")
    print("(pull requests × services × environments)      GitHub  Railway  SQL      ms")
    for name, cost in costs.items():
        print(
            f"  {name:44} {cost.github:6} {cost.railway:8} {cost.queries:4}"
            f" {cost.seconds * 1000:7.0f}"
        )
    print(f"  matrix page, SQL: {matrix}")
    for size in ("promised", "large"):
        missed |= (
            costs[f"{size}, cold"].calls > MOST_COLD
            or costs[f"{size}, nothing changed"].calls > MOST_WARM
        )
    missed |= any(cost.railway != 1 for cost in costs.values()) or len(set(matrix.values())) != 1
    for moment in ("cold", "nothing changed", "all of staging wrong"):
        queries = {costs[f"{size}, {moment}"].queries for size in sizes}
        missed |= len(queries) != 1 or max(queries) > MOST_QUERIES
    print(
        f"at most {MOST_COLD} calls cold, {MOST_WARM} when nothing changed:"
        f" {'missed' if missed else 'held'}"
    )
    return int(missed)


if __name__ == "__main__":
    with scratch_database():
        sys.exit(main())
