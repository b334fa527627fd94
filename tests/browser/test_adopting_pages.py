"""The pages on which a team begins: read in both schemes and on a phone, by everybody, in peace."""

import pytest
from django.utils import timezone

from environments.models import Project, ProjectProposal, RunbookReading
from environments.runbook import kinds
from portal.accounts import tokens
from portal.models.credentials import NewGitHubApp
from tests.browser.axe import sentences, violations
from tests.browser.looks import unreadable
from tests.factory import make_people, make_project
from tests.portal.accounts.addresses import FOUND

pytestmark = pytest.mark.django_db(transaction=True)
WAYS = (("wide", "dark"), ("phone", "light"))


@pytest.fixture
def people(transactional_db):
    return make_people()


def furnish(people) -> list[str]:
    """Rows with long names, and the addresses of the pages that show them."""
    project = make_project()
    Project.objects.update(watch_only=True)
    long = "scripts/" + "sync_staging_to_main_" * 6 + ".sh"
    found = [
        {"kind": kind, "place": place, "path": path, "line": 3, "seen": "alembic upgrade"}
        for kind, place, path in (
            (kinds.PREVIEWS, "workflow", ".github/workflows/preview_env.yml"),
            (kinds.SYNC, "script", long),
            (kinds.MIGRATE, "startup", "backend/Dockerfile"),
            (kinds.MIGRATE, "document", "docs/release.md"),
        )
    ]
    RunbookReading.objects.create(
        project=project, commit="a" * 40, rules=1, found=found, read_at=timezone.now()
    )
    tokens.make(people["dave"], "W" * 60)
    proposal = ProjectProposal.objects.create(
        repository="acme/" + "other" * 12,
        railway_project_id="p",
        asked_by=people["dave"],
        status="succeeded",
        found=FOUND,
    )
    NewGitHubApp.objects.create(
        app_id="1",
        app_slug="release-portal-" + "x" * 60,
        made_at=timezone.now(),
        private_key="k",
        made_by=people["dave"],
    )
    return [
        "/new-project/github-app/?organization=acme",
        "/new-project/github-app/installed/",
        "/credentials/",
        "/runbook/",
        "/account/access-tokens/",
        "/practice/",
        "/new-project/",
        f"/new-project/{proposal.pk}/",
        f"/projects/{project.slug}/go-live/list/",
        f"/projects/{project.slug}/watch-only/would/",
    ]


def test_they_can_be_read_hold_nobody_up_and_break_no_policy(open_as, people, complaints, settings):
    settings.SANDBOX = True
    settings.GITHUB_TOKEN = settings.RAILWAY_API_TOKEN = ""
    paths = furnish(people)
    page = open_as(people["dave"])

    found = unreadable(page, *paths)
    for path in paths:
        found += sentences(path, violations(page, path, WAYS))

    assert found == []
    assert complaints == []


def test_the_page_of_the_first_administrator_too(open_as, transactional_db, settings, complaints):
    settings.SANDBOX = False
    page = open_as(None, "/setup/")

    found = unreadable(page, "/setup/") + sentences("/setup/", violations(page, "/setup/", WAYS))

    assert found == []
    assert complaints == []
