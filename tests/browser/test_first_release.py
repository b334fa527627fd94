"""From an empty database to a first shipped release, by clicking; what is typed is counted.

The jobs are done by `manage.py worker`, with settings of a real portal: nothing of the way is left
out, also not the rehearsal.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.conf import settings as now_in_force
from django.contrib.auth.models import User
from django.db import connection
from playwright.sync_api import TimeoutError as NeverCame

from environments.models import Environment, Project, Rehearsal
from portal.first_start import codes
from portal.models.credentials import ServiceCredential
from releases.models.releases import Release, ReleaseStatus
from tests.browser.test_release_by_clicking import SLOW, says
from tests.journeys.test_release import head
from tests.journeys.world import World, running_world

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
MOST_FIELDS = 12
ROOT = Path(__file__).resolve().parents[2]
GIVEN = ("SECRET_KEY", "GITHUB_API_URL", "GITHUB_GIT_URL", "RAILWAY_API_URL", "PORTAL_URL")


@pytest.fixture
def world(transactional_db, live_server, tmp_path, settings) -> Iterator[World]:
    with running_world(tmp_path, settings, connected=False, rehearse=True) as world:
        settings.SYNC_SECONDS = 1.0
        settings.PORTAL_URL = live_server.url
        yield world


@contextmanager
def worker(directory: Path) -> Iterator[None]:
    """The worker as it is started in earnest, on the test's database and stand-ins."""
    of = connection.settings_dict
    url = f"postgresql://{of['USER']}:{of['PASSWORD']}@{of['HOST']}:{of['PORT']}/{of['NAME']}"
    env = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    env |= {name: str(getattr(now_in_force, name)) for name in GIVEN}
    env |= {"DATABASE_URL": url, "ALLOW_SUPERUSER_DATABASE": "1", "SANDBOX": "0"}
    env |= {"PORTAL_ENV_FILE": os.devnull, "PORTAL_VAR_DIR": str(now_in_force.VAR_DIR)}
    env |= {"SYNC_SECONDS": "1", "DEPLOY_GRACE_SECONDS": "3"}
    now_in_force.VAR_DIR.mkdir(exist_ok=True)
    with (directory / "worker.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "worker"], cwd=ROOT, env=env, stdout=log, stderr=log
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait(30)


class Typist:
    """Fills fields and remembers what was typed."""

    def __init__(self, page) -> None:
        self.page, self.typed = page, []

    def fill(self, field: str, value: str) -> None:
        self.page.fill(field, value, timeout=SLOW)
        self.typed.append(value)


def test_a_team_ships_its_first_release_by_clicking(world, open_as, complaints, capsys, tmp_path):
    before = head(world, "main")
    codes.announce()  # what `manage.py web` does when it starts
    [code] = re.findall(r"\b[A-Z2-7]{4}(?:-[A-Z2-7]{4}){3}\b", capsys.readouterr().out)
    page = open_as(None, "/")
    typist = Typist(page)
    with worker(tmp_path):
        typist.fill("#id_code", code)
        typist.fill("#id_username", "zoe")
        typist.fill("#id_password", "correct horse battery")
        typist.fill("#id_again", "correct horse battery")
        page.click("text=Make administrator")
        page.click("main >> text=Connect a project", timeout=SLOW)
        typist.fill("#token-github", "sandbox-github-token")
        page.click("#paste-github")
        says(page, "#github-status", "1 repositories can be seen")
        typist.fill("#token-railway", "sandbox-railway-token ")
        page.click("#paste-railway")
        says(page, "#railway-status", "1 projects can be seen")

        page.click("#read")
        says(page, "#proposal", "staging follows staging")
        writes = [one for one in world.github_server.requests if one.method in ("PUT", "PATCH")]
        assert writes == []
        page.select_option("#id_required_approvals", "0")
        page.select_option("#id_soak_minutes", "0")
        page.uncheck("#id_second_factor")
        page.uncheck("#id_watch_only")
        page.click("#accept")
        says(page, "h1", "What will be sent")
        assert Project.objects.get().watch_only
        page.check("text=Replace the classic protection of main")
        page.click("#confirm")

        page.click("main >> text=Create release", timeout=SLOW)
        page.click("text=Migrate staging", timeout=SLOW)
        says(page, "#log", "Finished 6f8b0d2e4a56")
        tick_all(page, "#before")
        says(page, "#now", "Ready to promote")
        page.click("#promote:not([disabled])", timeout=SLOW)
        page.click("#promote-now")
        try:
            page.wait_for_selector("#after button.box[aria-checked=false]", timeout=2 * SLOW)
        except NeverCame:
            raise AssertionError(page.inner_text("main")) from None
        tick_all(page, "#after")
        world_done = Release.objects.filter(status=ReleaseStatus.DONE)
        for _ in range(600):
            if world_done.exists():
                break
            page.wait_for_timeout(100)

    assert world_done.exists(), page.inner_text("main")
    assert head(world, "main") != before
    assert Rehearsal.objects.filter(environment__kind="production", status="succeeded").exists()
    assert world.revisions("production") == ["6f8b0d2e4a56"]
    assert len(typist.typed) <= MOST_FIELDS
    ids = set(Environment.objects.values_list("railway_id", flat=True))
    ids |= {Project.objects.get().railway_project_id}
    assert not ids & set(typist.typed)
    assert User.objects.count() == 1
    stored = ServiceCredential.objects.get(service="railway").secret
    assert stored.reveal() == "sandbox-railway-token", "The space was not taken off."
    assert complaints == []


def tick_all(page, region: str) -> None:
    """Ticks whatever a person ticks in a part of the checklist."""
    for _ in range(5):
        button = page.query_selector(f"{region} button.box[aria-checked=false]")
        if button is None:
            return
        button.click()
        page.wait_for_timeout(1500)
