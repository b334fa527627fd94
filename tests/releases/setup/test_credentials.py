"""Credentials pasted in the browser, for all or for one project: tried, kept, changed by two."""

from datetime import UTC, datetime

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone

from environments.railway import Railway
from environments.setup import choices
from portal import audit
from portal.configuration import actions as configuration
from portal.credentials import stored
from portal.invisible_characters import LogFormatter
from portal.models.audit import AuditEvent
from portal.models.configuration import ConfigurationChange
from portal.models.credentials import ServiceCredential
from portal.outbound.http import ApiError
from portal.sandbox.github import GitHubStandIn
from portal.sandbox.server import Response, Server
from portal.ui.actions import NotPermitted, Refused
from releases.setup import credentials
from tests.factory import make_people, make_project, make_promotion, make_release
from tests.reading import squeezed

pytestmark = pytest.mark.django_db
GOOD, RAILWAY_GOOD = "sandbox-github-token", "railway-token-of-a-workspace"


@pytest.fixture
def people(settings):
    settings.GITHUB_TOKEN = settings.RAILWAY_API_TOKEN = settings.RAILWAY_TOKEN = ""
    return make_people()


@pytest.fixture
def github(tmp_path, settings):
    hub = GitHubStandIn(tmp_path / "github", owner="acme", name="inspector")
    server = Server(hub).start()
    hub.url = settings.GITHUB_API_URL = settings.GITHUB_GIT_URL = server.url
    yield hub
    server.stop()
    hub.hooks.stop()


def answering(settings, respond):
    """A GitHub that answers everything alike."""
    server = Server(respond).start()
    settings.GITHUB_API_URL = server.url
    return server


def keep(people, token, **more):
    return credentials.set_credential("github", actor=people["dave"], token=token, **more)


def kept():
    return ServiceCredential.objects.exclude(secret="").count()


@pytest.mark.parametrize("around", ["\n", "\r\n", " \t", "'", '"'])
def test_what_stands_around_a_token_is_taken_off_and_said(people, github, around):
    told = keep(people, f"{around}{GOOD}{around}")

    assert "What stood around it was taken off" in told
    assert stored.github() == GOOD


@pytest.mark.parametrize(
    ("token", "said"),
    [
        ("", "needs a token"),
        ("sandbox github-token", "has a space or line break inside"),
        ("Bearer sandbox-github-token", "has a space or line break inside"),
        ("sandbox-github-tokeñ", "has a letter no token has"),
        ("ghp_unknown", "token"),
        (RAILWAY_GOOD, "token"),
    ],
)
def test_a_bad_token_is_refused_with_a_sentence_and_kept_nowhere(people, github, token, said):
    with pytest.raises(Refused, match="It was not kept:") as refusal:
        keep(people, token)

    assert said in str(refusal.value)
    assert not token or token not in str(refusal.value)
    assert not kept() and stored.github() is None
    event = AuditEvent.objects.get(action="credential.set")
    assert event.outcome == "refused" and (not token or token not in str(vars(event)))


def test_an_expired_token_is_refused_and_a_lasting_one_says_until_when(people, github):
    github.expiries[GOOD] = datetime(2020, 1, 1, tzinfo=UTC)
    with pytest.raises(Refused, match="It was not kept"):
        keep(people, GOOD)
    github.expiries[GOOD] = datetime(2099, 1, 2, tzinfo=UTC)

    assert "valid until 2099-01-02" in keep(people, GOOD)


@pytest.mark.parametrize(("scopes", "ok"), [("read:user", False), ("", False), ("repo", True)])
def test_a_classic_token_without_the_scope_is_refused_and_names_what_it_needs(
    people, settings, scopes, ok
):
    server = answering(
        settings, lambda r: Response(200, {"login": "x"}, {"X-OAuth-Scopes": scopes})
    )
    try:
        if ok:
            assert "with the scopes repo" in keep(people, "ghp_classic")
        else:
            with pytest.raises(Refused, match="it needs repo, and workflow"):
                keep(people, "ghp_classic")
    finally:
        server.stop()


def test_a_projects_own_token_must_see_its_repository(people, github):
    project = make_project()
    other = make_project("elsewhere")

    keep(people, GOOD, scope=project.slug)
    with pytest.raises(Refused, match="It was not kept"):
        keep(people, GOOD, scope=other.slug)

    assert stored.github(project.slug) == GOOD
    assert stored.github() is None and stored.github(other.slug) is None


def test_it_counts_from_the_next_call_on_and_the_portals_again_when_it_is_removed(people, github):
    project = make_project()
    github.tokens["the-portals"] = github.tokens[GOOD]
    keep(people, "the-portals")
    assert [one.value for one in choices.repositories(scope=project.slug)] == ["acme/inspector"]
    keep(people, GOOD, scope=project.slug)
    assert stored.github(project.slug) == GOOD

    told = credentials.use_the_portals("github", actor=people["dave"], scope=project.slug)

    assert "the portal's credential; it is used from now on" in told
    assert stored.github(project.slug) == "the-portals"


def test_two_people_replace_one_once_something_was_promoted(people, github):
    project = make_project()
    make_promotion(make_release(project, by=people["alice"]), at="")
    project.releases.update(status="done")
    github.tokens["newer"] = github.tokens[GOOD]
    ServiceCredential.objects.create(
        service="github", scope="", secret=GOOD, changed_at=datetime.now(UTC)
    )

    told = keep(people, "newer")
    waiting = ConfigurationChange.objects.get(state="waiting")

    assert "waits for a second person" in told and stored.github() == GOOD
    assert "newer" not in str(waiting.values) and "newer" not in str(waiting.secrets)
    with pytest.raises(Refused, match="a second person must confirm"):
        configuration.confirm_change(waiting, actor=people["dave"])
    configuration.confirm_change(waiting, actor=people["bob"])
    assert stored.github() == "newer"


def test_the_same_person_may_not_even_remove_a_projects_own_alone(people, github):
    project = make_project()
    make_promotion(make_release(project, by=people["alice"]), at="")
    project.releases.update(status="done")
    ServiceCredential.objects.create(
        service="github", scope=project.slug, secret=GOOD, changed_at=datetime.now(UTC)
    )

    told = credentials.use_the_portals("github", actor=people["dave"], scope=project.slug)

    assert "waits for a second person" in told and stored.github(project.slug) == GOOD


def test_only_who_may_configure_pastes(people, github):
    with pytest.raises(NotPermitted):
        credentials.set_credential("github", actor=people["alice"], token=GOOD)
    assert not kept()


def test_the_page_of_a_project_pastes_shows_and_removes(people, github):
    project = make_project()
    client = Client()
    client.force_login(people["dave"])
    where = f"/credentials/?project={project.slug}"

    sent = {"service": "github", "token": GOOD, "scope": project.slug}
    after = client.post("/new-project/credential/", sent, follow=True)
    own = squeezed(after)
    removed = client.post(
        "/credentials/remove/", {"service": "github", "scope": project.slug}, follow=True
    )
    nowhere = client.post("/new-project/credential/", sent | {"scope": "gone"}, follow=True)

    assert after.redirect_chain[-1][0] == where and "This project’s own, set" in own
    assert GOOD not in own and "Use the portal’s credential" in own
    assert "Use the portal’s credential" not in squeezed(removed)
    assert "There is no such project" in squeezed(nowhere)


ECHOED = {"github": "ghp_" + "Zz9" * 12, "railway": "c0ffee42-77aa-4c1e-9b7e-0badc0ffee42"}


def echoing(request):
    """GitHub and Railway on a bad day: their errors quote the credential they were sent."""
    sent = request.headers
    token = (sent.get("authorization") or sent.get("project-access-token", "")).split()[-1]
    words = f"{'.' * 180} {token} {token}"  # which a bound would cut in its midst
    errors = [{"message": words, "extensions": {"code": "BAD_USER_INPUT"}}]
    return Response(422, {"message": words, "errors": errors})


@pytest.mark.parametrize(("service", "token"), ECHOED.items())
def test_a_token_that_an_error_quotes_is_in_no_event_log_or_page(
    people, settings, caplog, service, token
):
    caplog.set_level("DEBUG")
    server = Server(echoing).start()
    settings.GITHUB_API_URL = settings.RAILWAY_API_URL = server.url
    client = Client()
    client.force_login(people["dave"])
    sent = {"service": service, "token": token}
    try:
        refused = squeezed(client.post("/new-project/credential/", sent, follow=True))
        ServiceCredential.objects.create(service=service, secret=token, changed_at=timezone.now())
        pages = [squeezed(client.get(path)) for path in ("/new-project/", "/connections/")]
        with pytest.raises(ApiError) as error:
            choices.repositories() if service == "github" else Railway(token=token).project("p")
        with transaction.atomic():
            audit.record("test.said", actor=None, sentence=str(error.value) + token)
    finally:
        server.stop()

    lines = [LogFormatter().format(record) for record in caplog.records]
    told = [refused, *pages, *lines, str(error.value), error.value.detail]
    told += [str(vars(event)) for event in AuditEvent.objects.all()]
    assert "It was not kept" in refused
    assert not [one for one in told if token[:9] in one]
