"""What the environment matrix costs: 12 services × 10 environments, from Railway into our rows and
onto the page.

`python -m tests.bench.matrix`. Exit status 1 when one refresh takes more than one call to Railway,
or when the page of many takes more queries than the page of few, or more than `MOST_QUERIES`.
"""

from tests.scratch import scratch_database  # first: it sets Django up

# isort: split
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from django.contrib.auth.models import User
from django.test import override_settings
from django.utils import timezone

from environments.models import Project, RailwaySync, ServiceInstance
from environments.railway_mirror import jobs
from portal.sandbox import sample
from portal.sandbox.railway import RailwayStandIn
from portal.sandbox.server import Server
from tests.bench.pages import Browser, milliseconds, queries
from tests.factory import make_people

SERVICES, ENVIRONMENTS, ROUNDS = 12, 10, 30
MOST_QUERIES = 14  # two of them for session and person


@dataclass(frozen=True)
class Measured:
    """One size: `calls` to Railway for one refresh, `rows` in the matrix, queries and
    milliseconds of its page.
    """

    services: int
    environments: int
    calls: int
    rows: int
    refresh_ms: float
    page_queries: int
    page_ms: float


def measure(services: int, environments: int, *, rounds: int = ROUNDS) -> Measured:
    """A project of that size behind a real socket, read once by the job and looked at in the
    browser.
    """
    with tempfile.TemporaryDirectory() as folder:
        built = sample.build(Path(folder) / "sample")
        railway = RailwayStandIn(
            Path(folder) / "railway", repository=built.path, repository_name="acme/inspector"
        )
        server = Server(railway).start()
        try:
            _furnish(railway, services, environments, built.branches)
            with override_settings(
                RAILWAY_API_URL=f"{server.url}/graphql/v2",
                RAILWAY_API_TOKEN="sandbox-railway-token",
            ):
                return _measured(railway, server, services, environments, rounds)
        finally:
            server.stop()
            railway.stop()


def _furnish(
    railway: RailwayStandIn, services: int, environments: int, heads: dict[str, str]
) -> None:
    names = ["staging", "production", *(f"pr-{n}" for n in range(1, environments - 1))]
    for name in names:
        railway.add_environment(name)
    for number in range(services):
        railway.add_service(f"service-{number:02}", "backend")
        for name in names:
            branch = "main" if name == "production" else "staging"
            railway.set_trigger(f"service-{number:02}", name, branch)
            railway.deploy(f"service-{number:02}", name, heads[branch], live=True)


def _measured(
    railway: RailwayStandIn, server: Server, services: int, environments: int, rounds: int
) -> Measured:
    make_people()
    values = {"repository": "acme/inspector", "railway_project_id": railway.project_id}
    project = Project.objects.create(
        name=f"p{services}x{environments}", slug=f"p{services}x{environments}", **values
    )
    job = RailwaySync.objects.create(project=project)
    server.requests.clear()
    began = time.perf_counter()
    jobs.sync_railway(job, now=timezone.now())
    taken, calls = (time.perf_counter() - began) * 1000, len(server.requests)
    browser = Browser(User.objects.get(username="dave"))
    address = f"/environments/?project={project.slug}"
    browser.get(address)
    found = Measured(
        services,
        environments,
        calls,
        ServiceInstance.objects.filter(service__project=project).count(),
        taken,
        queries(lambda: browser.get(address)),
        milliseconds({"page": lambda: browser.get(address)}, rounds)["page"],
    )
    project.repository = (  # one project for a repository; the next one needs this
        f"acme/{project.slug}"
    )
    project.save(update_fields=["repository"])
    return found


def missed(few: Measured, many: Measured) -> list[str]:
    """What was promised and is not so."""
    message = [f"{one.calls} calls for one refresh" for one in (few, many) if one.calls != 1]
    if many.page_queries != few.page_queries or many.page_queries > MOST_QUERIES:
        message.append(f"{few.page_queries} queries for few, {many.page_queries} for many")
    if many.rows != many.services * many.environments:
        message.append(f"{many.rows} cells of {many.services * many.environments}")
    return message


def main() -> int:
    """Prints the table; returns the exit status."""
    few, many = measure(2, 2), measure(SERVICES, ENVIRONMENTS)
    print("services × environments   calls   refresh   page queries     page")
    for one in (few, many):
        size = f"{one.services} × {one.environments}"
        print(
            f"  {size:22} {one.calls:6} {one.refresh_ms:7.0f} ms {one.page_queries:10}"
            f" {one.page_ms:9.1f} ms"
        )
    message = missed(few, many)
    print("missed: " + "; ".join(message) if message else "held")
    return 1 if message else 0


if __name__ == "__main__":
    with scratch_database():
        sys.exit(main())
