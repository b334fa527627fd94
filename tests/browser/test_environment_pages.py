"""Environments with something to repair, connections and variables, in Chromium."""

from dataclasses import asdict

import pytest
from django.utils import timezone

from environments.branches import protection_rules
from environments.github import Rules
from environments.models import (
    BranchProtection,
    ConnectionCheck,
    Environment,
    Finding,
    Preview,
    PreviewVariable,
    Repair,
    Service,
    ServiceInstance,
)
from environments.variables.sync import Place, _row, start
from portal.outbound.credentials import Secret
from releases.models.pull_requests import PullRequest
from releases.task_logs import actions as task_logs_actions
from tests.browser.looks import unreadable
from tests.factory import make_people, make_project

pytestmark = pytest.mark.django_db(transaction=True)
LONG = "W" * 200
NOW = timezone.now()
PATHS = (
    "/environments/",
    "/connections/",
    "/variables/?all=1",
    "/previews/",
    "/pulls/",
    "/protections/",
    "/task-logs/finding/9001/",
)


@pytest.fixture
def alice():
    """Signed in to a project where much is wrong and names are long."""
    people, project = make_people(), make_project()
    start(project)
    ServiceInstance.objects.filter(environment__kind="production", service__name="frontend").update(
        branch="staging"
    )
    for kind, subject in (("branch", "frontend in production"), ("behind", "backend in staging")):
        Finding.objects.create(
            project=project, kind=kind, subject=subject, sentence=f"{subject} is not right: {LONG}."
        )
    Finding.objects.create(
        pk=9001, project=project, kind="push", subject="x", sentence=f"x: {LONG}"
    )
    typed = {"goal": LONG, "commands": f"make test\n{LONG}"}
    task_logs_actions.write(
        Finding.objects.get(pk=9001), actor=people["alice"], typed=typed, version=0
    )
    Repair.objects.create(
        project=project,
        kind="sync_staging",
        status="failed",
        result="diverged",
        sentence=f"It diverged. {LONG}",
        evidence=[{"label": "hotfix 1234567", "said": LONG, "sha": "1234567"}],
        requested_by=people["alice"],
    )
    found = [
        {
            "name": "RAILWAY_API_TOKEN",
            "state": "fail",
            "kind": "project token",
            "sentence": LONG,
            "can": ["read"],
            "cannot": [LONG, "write"],
            "fix": "Make another one.",
        },
        {
            "name": "GITHUB_TOKEN",
            "state": "pass",
            "kind": "classic token",
            "sentence": "A classic token.",
            "can": ["acme/inspector: read branches."],
            "cannot": [],
            "fix": "",
        },
        {
            "name": "Deploy key of inspector",
            "state": "fail",
            "kind": f"ed25519 key, SHA256:{'x' * 43}",
            "fix": "Pin.",
            "sentence": "It shows a host key that is not pinned.",
            "project": "inspector",
            "public_key": f"ssh-rsa {LONG}",
            "offers": [["ssh-ed25519", "AAAA", f"SHA256:{'x' * 43}", "yes"]],
        },
    ]
    ConnectionCheck.objects.create(
        found=found, wake_at="2999-01-01T00:00Z", checked_at="2026-11-22T00:00Z"
    )
    backend = Service.objects.get(name="backend")
    for environment in Environment.objects.all():
        values = {
            "SAME": "x",
            LONG: None,
            "API_URL": "${{backend.RAILWAY_PUBLIC_DOMAIN}}",
            "NAME": environment.name,
        }
        for name, value in values.items():
            _row(Place(environment, backend), name, None if value is None else Secret(value)).save()
    _row(Place(environment, None), "ONLY_HERE", Secret("1")).save()
    made = {"project": project, "head": "c" * 40, "head_at": NOW, "made_at": NOW}
    service = {
        "name": "backend",
        "status": "success",
        "commit": "c" * 40,
        "address": "https://backend-pr-7.example/",
    }
    Preview.objects.create(
        number=7,
        state="live",
        title="Search in signals",
        branch="feature/search",
        sentence="Live at ccccccc.",
        services=[service, service | {"name": "frontend", "status": "sleeping"}],
        live_at=NOW,
        address="https://frontend-pr-7.example/",
        shared=["backend: DATABASE_URL"],
        **made,
    )
    Preview.objects.create(
        number=8,
        state="failed",
        title=LONG,
        branch=LONG,
        sentence="frontend did not come up: failed at ccccccc.",
        services=[service | {"name": LONG, "status": "failed"}],
        log=f"npm run build\n{LONG}",
        **made,
    )
    Preview.objects.create(
        number=9,
        state="asking",
        title="Payments",
        branch="payments",
        missing=["backend: PAYMENT_SECRET"],
        sentence=(
            "Sealed variables are not copied: give backend: PAYMENT_SECRET a value for previews."
        ),
        **made,
    )
    Preview.objects.create(
        number=5, state="gone", title="Old", why_not="a person removed it", **made
    )
    rules = Rules(
        True,
        0,
        frozenset({"python-ci", LONG}),
        True,
        None,
        False,
        None,
        frozenset({"administrators"}),
    )
    lines = [asdict(one) for one in protection_rules.compared(project, "main", rules)]
    BranchProtection.objects.create(
        project=project, branch="main", lines=lines, problems=[LONG], read_at=NOW
    )
    pull = {
        "project": project,
        "base": "staging",
        "head_sha": "c" * 40,
        "seen_at": NOW,
        "author": "maria",
    }
    PullRequest.objects.create(
        number=7,
        title="Search in signals",
        head="feature/search",
        review_decision="approved",
        mergeable="mergeable",
        checks=[{"name": "python-ci", "state": "success", "url": ""}],
        **pull,
    )
    PullRequest.objects.create(
        number=8,
        title=LONG,
        head=LONG,
        review_decision="changes_requested",
        mergeable="conflicting",
        draft=True,
        checks=[{"name": "python-ci", "state": "failure", "url": ""}],
        cut_wrong=f"It was cut from main. {LONG}",
        migrations=[{"id": "a1", "path": f"backend/{LONG}.py", "what": "new"}],
        read_for="x..y",
        **pull,
    )
    Environment.objects.create(project=project, name="pr-900", kind="preview", railway_id="e-900")
    PreviewVariable.objects.create(
        project=project, service="backend", name="SMTP_PASSWORD", value="x"
    )
    return people["alice"]


def test_every_page_can_be_read_in_both_schemes_and_on_a_phone(open_as, alice, complaints):
    page = open_as(alice, PATHS[0])

    assert unreadable(page, *PATHS) == []
    assert complaints == []


def test_a_branch_is_repaired_by_keyboard(open_as, alice):
    page = open_as(alice, "/environments/")

    page.get_by_text("Repair", exact=True).focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Follow main").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**#repairs")

    assert Repair.objects.get(kind="branch").wanted == "main"
