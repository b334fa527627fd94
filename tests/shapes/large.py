"""What the shape `large` costs: calls to GitHub and Railway of one reading, and queries of each
page.

`python -m tests.shapes.large` reads the whole of it three times, ships its release and prints what
that took: at most 5 calls when nothing is known (the second reading compares the branches' files,
and so fetches the repository for the first time), 3 when nothing changed, and 15 queries a page.
Exit status 1 if not.
"""

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from portal.sandbox.shapes import large
from tests.scratch import scratch_database

MOST_COLD, MOST_WARM, MOST_QUERIES = 5, 3, 15


@contextmanager
def sized(size: large.Size) -> Iterator[None]:
    """Have the shape be of that size meanwhile."""
    whole, large.SHAPE = large.SHAPE, large.shaped(size)
    try:
        yield
    finally:
        large.SHAPE = whole


def read(world: Any) -> tuple[int, int]:
    """Read GitHub and Railway once, as their jobs do; returns the calls to each."""
    from environments.models import Project
    from environments.railway_mirror.jobs import sync_railway
    from releases.github_mirror.jobs import sync_github

    servers = (world.github_server, world.railway_server)
    for server in servers:
        server.requests.clear()
    project, now = Project.objects.get(pk=world.project.pk), world.clock.now()
    sync_github(project.github_sync, now=now)
    sync_railway(project.railway_sync, now=now)
    return len(servers[0].requests), len(servers[1].requests)


def queries(world: Any, release: Any) -> dict[str, int]:
    """Return how many queries each page takes that answers a superuser, but for the stock admin's
    and what machines ask.
    """
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext, override_settings

    from tests.portal.accounts.addresses import every
    from tests.portal.accounts.test_every_address import OPEN

    client, found = Client(), {}
    client.force_login(world.person("dave"))
    with override_settings(ALLOWED_HOSTS=["testserver"]):
        for name, pattern, address in every():
            asked = {"project": world.project.slug}
            if pattern.startswith("admin/") or name in OPEN:
                continue
            if client.get(address, asked).status_code != 200:
                continue
            with CaptureQueriesContext(connection) as seen:
                client.get(address, asked)
            found[name] = len(seen)
    return found


def main() -> int:
    """Print the costs; return the exit status."""
    from django.conf import settings

    from releases.models.releases import Release
    from tests.faults.scene import _Setting
    from tests.journeys.world import quick_world
    from tests.shapes.shipping import ship, table

    with (
        scratch_database(),
        tempfile.TemporaryDirectory(
            prefix="portal-large-", ignore_cleanup_errors=True
        ) as directory,
        quick_world(Path(directory), _Setting(settings), shape=["large"]) as world,
    ):
        cold, second, warm, began = read(world), read(world), read(world), time.monotonic()
        outcome = ship(world, patience=300)
        release = Release.objects.get()
        pages, pulls = queries(world, release), release.pull_requests.count()
    print(f"calls to GitHub and Railway: cold {cold}, then {second}, nothing changed {warm}")
    print(f"release: {pulls} pull requests, {release.commit_count} commits")
    print(f"shipped in {time.monotonic() - began:.0f} s, {outcome.calls} calls; queries: {pages}")
    print(table([outcome])[:400])
    held = (
        max(sum(cold), sum(second)) <= MOST_COLD
        and sum(warm) <= MOST_WARM
        and max(pages.values()) <= MOST_QUERIES
        and outcome.held
    )
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
