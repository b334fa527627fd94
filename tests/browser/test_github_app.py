"""The GitHub App by the manifest flow, clicked in a browser: over to GitHub and back."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from portal.credentials import stored
from portal.models.credentials import NewGitHubApp, ServiceCredential
from portal.outbound.credentials import App
from tests.browser.test_release_by_clicking import says
from tests.factory import make_people
from tests.journeys.world import World, running_world

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


@pytest.fixture
def world(transactional_db, live_server, tmp_path, settings) -> Iterator[World]:
    with running_world(tmp_path, settings, connected=False) as world:
        settings.PORTAL_URL = live_server.url
        # Another site than 127.0.0.1 to the browser, as GitHub is: cookies and the content policy
        # are held to the same rules.
        settings.GITHUB_GIT_URL = world.github_server.url.replace("127.0.0.1", "localhost")
        yield world


def test_an_app_is_made_by_one_click_on_github_and_used_without_typing(world, open_as, complaints):
    dave = make_people()["dave"]
    page = open_as(dave, "/new-project/")
    on_github = []

    def click(selector: str) -> None:
        if urlsplit(page.url).hostname == "localhost":
            on_github.append(selector)
        page.click(selector)

    click("text=create a GitHub App")
    assert "contents: write" in page.inner_text("main")
    click("#create-app")
    page.wait_for_selector("h1 >> text=Create GitHub App")
    assert urlsplit(page.url).hostname == "localhost" and not NewGitHubApp.objects.exists()
    click("#create")
    says(page, "main", "Install it on the released repositories")
    assert NewGitHubApp.objects.get().made_by == dave
    click("#install-app")
    page.wait_for_url("**/installed/?installation_id=*")
    click("#use-app")
    says(page, "#github-status", "1 repositories can be seen")

    assert on_github == ["#create"]
    assert isinstance(stored.github(), App)
    assert ServiceCredential.objects.get(service="github").app_slug
    assert not NewGitHubApp.objects.exists()
    # The stand-in's own page has no icon.
    assert [one for one in complaints if "404" not in one] == []
