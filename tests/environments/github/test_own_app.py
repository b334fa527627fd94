"""The portal's own required status is accepted from its App alone, where it has one."""

import pytest
from django.utils import timezone

from environments.branches import protection, protection_rules
from environments.github import Rules
from environments.github.protection import _bound
from environments.models import Project
from portal.models.credentials import ServiceCredential

pytestmark = pytest.mark.django_db


@pytest.fixture
def project(settings):
    settings.GITHUB_APP_ID, settings.GITHUB_TOKEN = "4711", ""
    return Project(repository="acme/inspector", protected_checks=["ci"])


def source(project, apps) -> "protection_rules.ProtectionRule | None":
    lines = protection_rules.compared(
        project, "main", Rules(checks=frozenset({"ci", "release-portal"}), apps=apps)
    )
    return next((line for line in lines if line.key == "source"), None)


def test_the_protection_that_is_applied_pins_the_portals_status_to_its_app(project):
    checks = protection_rules.body_for(project, "main")["required_status_checks"]["checks"]

    assert checks == [{"context": "ci"}, {"context": "release-portal", "app_id": 4711}]
    assert any(
        "the portal's App as the source of release-portal" in click
        for click in protection.clicks(project, "main")
    )
    assert all(
        "app_id" not in one
        for one in protection_rules.body_for(project, "staging")["required_status_checks"]["checks"]
    )


@pytest.mark.parametrize(
    ("apps", "state", "actual"),
    [
        (frozenset({("release-portal", 4711)}), "pass", "App 4711"),
        (frozenset(), "fail", "anybody"),
        (frozenset({("release-portal", 15368)}), "fail", "App 15368"),
        (frozenset({("ci", 4711)}), "fail", "anybody"),
        (None, "wait", "not known"),
    ],
)
def test_another_source_is_said(project, apps, state, actual):
    line = source(project, apps)

    assert (line.state, line.actual) == (state, actual)


def test_a_portal_with_a_token_has_no_app_to_pin(project, settings):
    settings.GITHUB_TOKEN = "ghp_x"

    assert source(project, frozenset()) is None
    assert {"context": "release-portal"} in protection_rules.body_for(project, "main")[
        "required_status_checks"
    ]["checks"]


def pasted(**fields):
    ServiceCredential.objects.create(
        service="github", secret="s3cret", changed_at=timezone.now(), **fields
    )


def test_a_pasted_token_goes_before_the_settings_app(project):
    pasted(kind="token")

    assert protection_rules.own_app(project) is None
    assert source(project, frozenset()) is None


def test_a_pasted_app_goes_before_the_settings_token_and_the_projects_own_before_that_of_all(
    project, settings
):
    settings.GITHUB_APP_ID, settings.GITHUB_TOKEN = "", "ghp_x"
    pasted(kind="app", app_id="12")
    assert protection_rules.own_app(project) == 12

    project.slug = "acme"
    pasted(kind="app", app_id="13", scope="acme")
    assert protection_rules.own_app(project) == 13
    assert source(project, frozenset({("release-portal", 12)})).state == "fail"


def test_classic_checks_and_rulesets_name_their_app():
    classic = [
        {"context": "a", "app_id": 7},
        {"context": "b", "app_id": None},
        {"context": "c", "app_id": -1},
    ]

    assert _bound(classic, "app_id") == {("a", 7)}
    assert _bound([{"context": "a", "integration_id": 9}, {"context": "b"}], "integration_id") == {
        ("a", 9)
    }
    assert _bound(None, "app_id") == frozenset()
