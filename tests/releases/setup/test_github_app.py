"""A GitHub App by the manifest flow: made on GitHub, believed only as far as GitHub confirms it."""

import html
import json
import re
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from django.db import connection
from django.test import Client

from environments.setup import choices
from portal.credentials import stored
from portal.models.audit import AuditEvent
from portal.models.credentials import NewGitHubApp, ServiceCredential
from portal.outbound.credentials import App
from tests.factory import make_people, make_project
from tests.reading import squeezed
from tests.releases.setup.test_credentials import github  # noqa: F401

pytestmark = pytest.mark.django_db


@pytest.fixture
def dave(settings):
    settings.GITHUB_TOKEN = settings.RAILWAY_API_TOKEN = ""
    client = Client()
    client.force_login(make_people()["dave"])
    return client


def begun(client, **query) -> tuple[str, dict]:
    """The address that the page's form leads to, and the manifest."""
    page = client.get("/new-project/github-app/", query).content.decode()
    address = re.search(r'action="([^"]+)" id="manifest-form"', page)[1]
    manifest = re.search(r'name="manifest" value="([^"]+)"', page)[1]
    return html.unescape(address), json.loads(html.unescape(manifest))


def made_on_github(address, manifest) -> str:
    """What a person does on GitHub; returns where the browser is sent back to."""
    shown = httpx.post(address, data={"manifest": json.dumps(manifest)})
    assert shown.status_code == 200 and "Create GitHub App" in shown.text
    done = httpx.post(address, data={"manifest": json.dumps(manifest), "confirmed": "1"})
    assert done.status_code == 302, done.text
    parts = urlsplit(done.headers["location"])
    return f"{parts.path}?{parts.query}"


def install(client) -> str:
    page = client.get("/new-project/github-app/installed/").content.decode()
    address = html.unescape(re.search(r'id="install-app" href="([^"]+)"', page)[1])
    parts = urlsplit(httpx.get(address).headers["location"])
    return f"{parts.path}?{parts.query}"


def test_one_click_on_github_makes_it_one_installs_it_and_the_portal_uses_it(dave, github):  # noqa: F811
    before = squeezed(dave.get(made_on_github(*begun(dave)), follow=True))
    early = squeezed(dave.post("/new-project/github-app/installed/", follow=True))
    back = install(dave)
    came = squeezed(dave.get(back))
    after = squeezed(dave.post("/new-project/github-app/installed/", follow=True))

    assert "Install it on the released repositories" in before
    assert "is not installed yet" in early and "Use it" in came
    assert "the App release-portal on acme" in after and "it is used from now on" in after
    used = stored.github()
    assert isinstance(used, App) and used.id == "1001" and used.installation_id
    assert [one.value for one in choices.repositories()] == ["acme/inspector"]
    assert not NewGitHubApp.objects.exists()
    assert {event.action for event in AuditEvent.objects.filter(outcome="done")} >= {
        "credential.app_made",
        "configuration.confirmed",
    }


def test_the_key_is_kept_encrypted_and_shown_nowhere(dave, github):  # noqa: F811
    page = dave.get(made_on_github(*begun(dave)), follow=True)
    row = NewGitHubApp.objects.get()

    with connection.cursor() as cursor:
        cursor.execute("SELECT private_key FROM portal_newgithubapp")
        [raw] = cursor.fetchone()
    assert "PRIVATE KEY" not in raw and "PRIVATE KEY" in row.private_key.reveal()
    assert "PRIVATE KEY" not in page.content.decode()
    assert all("PRIVATE KEY" not in str(vars(event)) for event in AuditEvent.objects.all())


def test_the_manifest_is_one_that_github_takes(dave, settings):
    settings.PORTAL_URL = "https://release-portal.a-rather-long-name.example.com"
    _, manifest = begun(dave)

    assert len(manifest["name"]) <= 34 and manifest["url"] == settings.PORTAL_URL
    assert "hook_attributes" not in manifest, "GitHub demands an address with it."
    assert manifest["public"] is False and manifest["default_events"] == []
    assert manifest["default_permissions"]["contents"] == "write"
    assert manifest["redirect_url"].startswith(f"{settings.PORTAL_URL}/")


def test_an_organization_is_part_of_the_address_and_nothing_else(dave, settings):
    address, _ = begun(dave, organization="acme-inc")
    refused, _ = begun(dave, organization="a/../b")

    assert urlsplit(address).path == "/organizations/acme-inc/settings/apps/new"
    assert urlsplit(refused).path == "/settings/apps/new"


@pytest.mark.parametrize("state", ["", "another"])
def test_a_code_that_this_session_did_not_ask_for_is_not_taken(dave, github, state):  # noqa: F811
    back = made_on_github(*begun(dave))
    code = parse_qs(urlsplit(back).query)["code"][0]

    answer = dave.get("/new-project/github-app/made/", {"code": code, "state": state}, follow=True)

    assert "did not begin here" in squeezed(answer)
    assert not NewGitHubApp.objects.exists()


def test_a_code_works_once_and_nonsense_is_refused_in_a_sentence(dave, github):  # noqa: F811
    address, _ = begun(dave)
    state = parse_qs(urlsplit(address).query)["state"][0]
    for code in ("../../app", "unknown", ""):
        dave.session.save()
        session = dave.session
        session["github_app"] = {"state": state, "scope": "", "at": 10**11}
        session.save()
        answer = dave.get(
            "/new-project/github-app/made/", {"code": code, "state": state}, follow=True
        )
        assert "tart again" in squeezed(answer), code
    assert not NewGitHubApp.objects.exists()


def test_only_this_page_may_send_a_form_to_github(dave, settings):
    settings.GITHUB_GIT_URL = "https://github.example.com"

    own = dave.get("/new-project/github-app/").headers["Content-Security-Policy"]
    other = dave.get("/new-project/").headers["Content-Security-Policy"]

    assert "form-action 'self' https://github.example.com" in own and "script-src 'self'" in own
    assert "form-action 'self'" in other and "github" not in other


def test_a_project_may_have_an_app_of_its_own(dave, github):  # noqa: F811
    project = make_project()
    dave.get(made_on_github(*begun(dave, scope=project.slug)), follow=True)
    install(dave)
    after = dave.post("/new-project/github-app/installed/", follow=True)

    assert after.redirect_chain[-1][0] == f"/credentials/?project={project.slug}"
    assert ServiceCredential.objects.get().scope == project.slug
    assert isinstance(stored.github(project.slug), App) and stored.github() is None


def test_whoever_may_not_configure_makes_none(github, settings):  # noqa: F811
    client = Client()
    client.force_login(make_people()["alice"])
    for path in ("", "made/", "installed/"):
        assert client.get(f"/new-project/github-app/{path}").status_code == 403
