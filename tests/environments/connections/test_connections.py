"""What is said of each credential, against the stand-ins over real sockets."""

import io

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from environments.connections import check
from environments.git_mirrors.clone import mirror_of
from environments.models import ConnectionCheck, Project
from portal.sandbox.github.rest_releases import INSTALLATION
from portal.sandbox.github.state import PORTAL_APP
from portal.sandbox.server import Fault, Response, Server
from tests.factory import make_people
from tests.portal.sandbox_github import official
from tests.reading import squeezed

pytestmark = pytest.mark.django_db


def of_railway():
    return check.diagnose()[0]


def of_github():
    return check.diagnose()[1]


def test_a_good_token_says_what_it_reaches(project):
    found = of_railway()

    assert found.state == "pass" and found.kind in ("account token", "workspace token")
    assert any("staging" in line for line in found.can)


@pytest.mark.parametrize(
    ("ending", "words"),
    [("\n", "ends with a line break"), ("\r\n", "carriage return"), (" ", "ends with a space")],
)
def test_white_space_is_named_with_its_length_and_never_sent(
    project, railway, settings, ending, words
):
    settings.RAILWAY_API_TOKEN = "sandbox-railway-token" + ending
    before = len(railway.server.requests)

    found = of_railway()

    assert found.state == "fail" and words in found.sentence
    assert f"{21 + len(ending)} characters" in found.sentence
    assert "sandbox-railway-token" not in repr(found)
    assert len(railway.server.requests) == before


def test_quotes_are_named_with_the_kind_of_the_token(project, settings):
    settings.GITHUB_TOKEN = '"ghp_notreallyatoken"'

    found = of_github()

    assert found.kind == "classic token" and "quotation marks" in found.sentence
    assert "notreally" not in repr(found)


def test_unknown_wrong_header_and_no_such_project_are_three_things(project, railway, settings):
    railway.add_token("a-project-token", "project", "staging")
    settings.RAILWAY_API_TOKEN = "nobody-knows-this"
    unknown = of_railway()
    settings.RAILWAY_API_TOKEN = "a-project-token"
    wrong_header = of_railway()
    settings.RAILWAY_API_TOKEN = "sandbox-railway-token"
    Project.objects.update(railway_project_id="00000000-0000-0000-0000-000000000000")
    elsewhere = of_railway()

    assert [one.state for one in (unknown, wrong_header, elsewhere)] == ["fail"] * 3
    assert unknown.sentence.startswith("Unauthorized")
    assert wrong_header.sentence.startswith("Wrong setting") and "RAILWAY_TOKEN" in wrong_header.fix
    assert "no such project" in elsewhere.cannot[0]


def test_a_project_token_in_its_own_setting_says_what_it_cannot_see(project, railway, settings):
    railway.add_token("a-project-token", "project", "staging")
    settings.RAILWAY_API_TOKEN, settings.RAILWAY_TOKEN = "", "a-project-token"

    found = of_railway()

    assert (found.name, found.kind) == ("RAILWAY_TOKEN", "project token")
    assert any("other environments" in line for line in found.cannot)
    assert "workspace" in found.fix


@pytest.mark.parametrize("kind", ["account", "workspace"])
def test_an_account_and_a_workspace_token_are_told_apart(project, railway, settings, kind):
    railway.add_token(f"a-token-of-the-{kind}", kind)
    settings.RAILWAY_API_TOKEN = f"a-token-of-the-{kind}"

    found = of_railway()

    assert (found.kind, found.state) == (f"{kind} token", "pass")
    assert found.sentence.startswith(f"{kind.capitalize()} token")


def test_an_account_token_in_the_setting_of_project_tokens_is_the_wrong_header(project, settings):
    settings.RAILWAY_API_TOKEN, settings.RAILWAY_TOKEN = "", "sandbox-railway-token"

    found = of_railway()

    assert found.state == "fail" and found.sentence.startswith("Wrong setting")
    assert found.fix == "Move it to RAILWAY_API_TOKEN and clear RAILWAY_TOKEN."


def test_the_first_setting_wins_and_what_is_set_in_vain_is_said(project, settings):
    settings.RAILWAY_TOKEN, settings.RAILWAY_PROJECT_ID = "nobody-knows-this", "another-project"

    found = of_railway()

    assert (found.name, found.state) == ("RAILWAY_API_TOKEN", "pass")
    assert any("RAILWAY_TOKEN is also set but not used" in line for line in found.cannot)
    assert any("RAILWAY_PROJECT_ID names no project" in line for line in found.cannot)


def test_no_answer_is_not_a_bad_token(project, railway):
    railway.server.faults.append(Fault("status", status=503, times=50))

    assert of_railway().state == "wait"


def test_no_credential_at_all_is_said(project, settings):
    settings.GITHUB_TOKEN = settings.RAILWAY_API_TOKEN = ""

    assert [one.kind for one in check.diagnose()][:2] == ["not set", "not set"]


@official.needs_it[0]
@official.needs_it[1]
def test_everything_asked_of_github_is_described_and_only_read(project, hub):
    hub.server.requests.clear()

    of_github()

    assert len(hub.server.requests) == 9
    for request in hub.server.requests:
        assert request.method == "GET"
        official.operation("GET", request.path)


def test_a_missing_permission_is_listed_by_name(project, hub):
    hub.checks_readable = False

    found = of_github()

    assert found.state == "pass"
    assert any("Checks: read" in line for line in found.cannot)
    assert any("list pull requests" in line for line in found.can)


@pytest.mark.parametrize(
    ("token", "kind"),
    [
        ("github_pat_x", "fine-grained token"),
        ("ghp_x", "classic token"),
        ("ghs_x", "App installation token"),
        ("gho_x", "OAuth token"),
    ],
)
def test_a_plain_token_is_called_by_its_kind_and_a_refused_permission_by_its_name(
    project, hub, settings, token, kind
):
    hub.tokens[token] = hub.tokens["sandbox-github-token"]
    settings.GITHUB_TOKEN = token
    fine = of_github()
    hub.server.faults.append(Fault("status", status=403, path="/pulls", times=9))

    refused = of_github()

    assert (fine.kind, fine.state) == (kind, "pass")
    assert (refused.kind, refused.state) == (kind, "fail")
    assert any(
        "list pull requests (missing: Pull requests: read)" in line for line in refused.cannot
    )
    assert token not in repr(refused)


@pytest.mark.parametrize("plain", [True, False])
def test_git_reads_with_a_plain_token_as_with_that_of_an_app(
    project, hub, settings, tmp_path, plain
):
    settings.GITHUB_GIT_URL, settings.VAR_DIR = hub.url, tmp_path / "var"
    if not plain:
        use_app(settings)

    mirror = mirror_of(project)
    mirror.fetch()

    assert mirror.head("main") == hub.heads()["main"] and mirror.reach() >= 2


def use_app(settings):
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    settings.GITHUB_TOKEN = ""
    settings.GITHUB_APP_ID, settings.GITHUB_APP_PRIVATE_KEY = str(PORTAL_APP.id), pem
    settings.GITHUB_APP_INSTALLATION_ID = str(INSTALLATION)


def test_an_app_that_may_not_write_is_told_which_permissions_it_lacks(project, hub, settings):
    use_app(settings)

    found = of_github()

    assert (found.name, found.kind, found.state) == ("GITHUB_APP_ID", "App installation", "fail")
    assert any("missing: Pull requests: write" in line for line in found.cannot)
    assert not any("Contents: write" in line for line in found.cannot)


def test_the_scopes_of_a_classic_token_are_told(project, settings):
    def answer(request):
        return Response(200, {}, {"X-OAuth-Scopes": "repo, read:org"})

    server = Server(answer).start()
    settings.GITHUB_API_URL, settings.GITHUB_TOKEN = server.url, "ghp_x"
    try:
        found = of_github()
    finally:
        server.stop()

    assert (found.kind, found.state) == ("classic token", "pass")
    assert any("workflows (missing: Workflows: write)" in line for line in found.cannot)


def test_a_repository_that_the_token_may_not_see_fails(project):
    Project.objects.update(repository="acme/elsewhere")

    found = of_github()

    assert found.state == "fail" and "acme/elsewhere" in found.cannot[0]


def test_the_command_gives_the_same_diagnosis_and_fails_with_it(project, settings):
    settings.RAILWAY_API_TOKEN = "nobody-knows-this"
    out = io.StringIO()

    with pytest.raises(SystemExit) as ended:
        call_command("check_connections", stdout=out)

    assert ended.value.code == 1
    assert "Unauthorized" in out.getvalue() and "to fix" in out.getvalue()


def test_the_page_shows_the_last_result_and_the_button_wakes_the_job():
    alice, carol = (Client() for _ in range(2))
    people = make_people()
    for client, name in ((alice, "alice"), (carol, "carol")):
        client.force_login(people[name], backend="django.contrib.auth.backends.ModelBackend")
    line = {
        "name": "GITHUB_TOKEN",
        "state": "fail",
        "kind": "classic token",
        "sentence": "<i>It is old.</i>",
        "can": ["read"] * 40,
        "cannot": ["write"] * 40,
        "fix": "Make a new one.",
    }
    ConnectionCheck.objects.create(found=[line] * 2, wake_at="2999-01-01T00:00Z")

    with CaptureQueriesContext(connection) as seen:
        html = squeezed(alice.get("/connections/"))
    refused = squeezed(carol.post("/connections/check/", follow=True))
    before = ConnectionCheck.objects.get().wake_at
    alice.post("/connections/check/")

    assert "&lt;i&gt;It is old." in html and "Make a new one." in html and "Check again" in html
    assert len(seen) <= 5
    assert "You are not allowed" in refused
    assert before.year == 2999 and ConnectionCheck.objects.get().wake_at.year < 2999
