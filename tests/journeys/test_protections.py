"""Branch protections: read from every source, held against what should be, and put right on
request.
"""

import json
import re

import pytest
from django.utils import timezone

from environments.branches import actions, apply_protection, protection, protection_rules
from environments.github import Rules
from environments.github.protection import CLASSIC
from environments.models import BranchProtection, Finding, Project, ProtectionSync
from portal.ui.actions import Refused
from releases import gates
from releases.gates.context import facts_of
from tests.journeys.test_release import cut, reread
from tests.reading import squeezed

pytestmark = pytest.mark.slow
RULE = {
    "type": "pull_request",
    "parameters": {
        "required_approving_review_count": 2,
        "required_review_thread_resolution": True,
        "allowed_merge_methods": ["squash"],
    },
}


def lines(world, branch: str) -> dict[str, str]:
    """What a fresh reading says, rule by rule."""
    ProtectionSync.objects.update(wake_at=timezone.now())
    before = timezone.now()
    world.work(lambda: BranchProtection.objects.filter(branch=branch, read_at__gte=before).exists())
    return {
        line["key"]: line["state"] for line in BranchProtection.objects.get(branch=branch).lines
    }


def protected(world, branch: str = "main"):
    repair = actions.protect_branch(world.project, actor=world.person("alice"), branch=branch)
    world.work(lambda: not reread(repair).is_open)
    return repair


def test_an_unprotected_branch_is_a_finding_until_it_is_protected_by_a_click(world, client):
    world.github.state["protections"].pop("main")
    found = lines(world, "main")
    finding = Finding.objects.get(kind="protection", subject="main", closed_at=None)
    client.force_login(world.person("alice"))
    shown = client.get("/protections/").text
    seen = re.findall(r'name="seen" value="([0-9a-f]{32})"', shown)[0]
    client.post(f"/protections/{world.project.slug}/protect/", {"value": "main", "seen": seen})
    world.work(lambda: reread(finding).closed_at is not None)

    page = client.get("/protections/").text

    assert found["pull_request"] == "fail" and "require a pull request" in finding.sentence
    assert set(lines(world, "main").values()) == {"pass"}
    kept = world.github.state["protections"]["main"]
    contexts = {one["context"] for one in kept["required_status_checks"]["checks"]}
    assert contexts == {"python-ci", "release-portal"} and kept["enforce_admins"]
    assert "main matches its protection policy" in page


def test_exactly_what_was_shown_is_sent_once(world):
    protected(world)

    [body] = world.sent("PUT", "/branches/main/protection")

    assert json.loads(body) == protection_rules.body_for(world.project, "main")


def test_apply_names_all_that_it_takes_away_and_does_not_follow_what_moved(world, client):
    world.github.protect(
        "main", checks=("python-ci", "lint"), approvals=2, enforce_admins=True, strict=True
    )
    lines(world, "main")
    client.force_login(world.person("alice"))
    shown = squeezed(client.get("/protections/"))
    row = BranchProtection.objects.get(branch="main")
    told, seen = (
        of(world.project, "main", row) for of in (apply_protection.changes, apply_protection.digest)
    )
    world.github.protect("main", checks=("python-ci", "lint", "types"), approvals=2)

    repair = actions.protect_branch(
        world.project, actor=world.person("alice"), branch="main", seen=seen
    )
    world.work(lambda: not reread(repair).is_open)

    assert "Approvals: now 2, then 1." in shown
    assert "Required checks: now lint, python-ci, then python-ci, release-portal." in shown
    assert "Branch up to date: now yes, then no." in shown
    assert {setting for setting, _, _ in told} == {
        "Approvals",
        "Required checks",
        "Branch up to date",
        "Conversations resolved",
    }
    assert "other changes would be made now than were shown" in reread(repair).sentence
    assert world.sent("PUT", "/branches/main/protection") == []


def test_the_checks_that_ran_on_both_branches_are_proposed_and_others_refused(world, client):
    type(world.project).objects.update(protected_checks=[])
    heads = world.github.heads()
    world.github.set_check(heads["staging"], "only-into-main")
    found = lines(world, "main")
    client.force_login(world.person("dave"))
    page = squeezed(client.get("/protections/"))
    address = f"/protections/{world.project.slug}/require/"

    bad = client.post(
        address, {"checks": ["only-into-main"], "approvals": 1, "portal_app": ""}, follow=True
    )
    client.post(address, {"checks": ["python-ci"], "approvals": 2, "portal_app": "our-app"})

    assert found
    assert "python-ci: not required, ran on pull requests into main, staging." in page
    assert "only-into-main: not required, ran on pull requests into main only." in page
    assert re.search(r'value="python-ci" checked', page)
    assert 'value="only-into-main"' not in page
    assert "only-into-main never ran on what is merged into staging" in squeezed(bad)
    world.project.refresh_from_db()
    assert (world.project.protected_checks, world.project.protected_approvals) == (["python-ci"], 2)
    assert world.project.portal_app == "our-app"


def test_a_team_of_one_is_not_locked_out_by_approvals_that_nobody_could_give(world):
    for pull in world.github.state["pulls"]:
        pull["user"] = "maria"
    world.github.state["reviews"].clear()

    refused = protected(world)
    sent_before = world.sent("PUT", "/branches/main/protection")
    Project.objects.update(protected_approvals=0)
    world.project.refresh_from_db()
    allowed = protected(world)

    assert refused.status == "failed" and not sent_before
    assert "only maria opened or reviewed one lately" in refused.sentence
    assert "set approvals to 0" in refused.sentence
    assert allowed.status == "succeeded", allowed.sentence
    [body] = world.sent("PUT", "/branches/main/protection")
    reviews = json.loads(body)["required_pull_request_reviews"]
    assert reviews["required_approving_review_count"] == 0


def test_protecting_again_sends_nothing(world):
    protected(world)
    protected(world)

    assert len(world.sent("PUT", "/branches/main/protection")) == 1


def test_a_drift_is_found_and_does_not_stop_a_release(world):
    protected(world)
    world.github.protect(
        "main", checks=("python-ci",), pull_request=True, approvals=1, enforce_admins=False
    )
    release = cut(world)

    found = lines(world, "main")

    assert (found["checks"], found["passing"], found["pushes"]) == ("fail", "fail", "fail")
    finding = Finding.objects.get(kind="protection", subject="main", closed_at=None)
    assert "required checks" in finding.sentence
    facts = facts_of(release.pk)
    assert finding not in facts.findings and finding in facts.beside
    assert gates.GATES["environments_coherent"](facts).state != gates.FAIL


def test_rulesets_count_and_those_who_may_bypass_them_are_named(world):
    world.github.state["protections"].pop("main")
    at = "2026-01-01T00:00:00Z"
    world.github.state["rulesets"].append(
        {
            "id": 5,
            "name": "strict",
            "target": "branch",
            "enforcement": "active",
            "created_at": at,
            "updated_at": at,
            "conditions": {"ref_name": {"include": ["refs/heads/main"], "exclude": []}},
            "bypass_actors": [
                {"actor_type": "RepositoryRole", "actor_id": 5, "bypass_mode": "always"}
            ],
            "rules": [RULE],
        }
    )

    found = lines(world, "main")

    assert (found["pull_request"], found["approvals"], found["conversations"]) == (
        "pass",
        "pass",
        "pass",
    )
    assert (found["linear"], found["passing"]) == ("fail", "fail")
    rows = {
        line["key"]: line["actual"] for line in BranchProtection.objects.get(branch="main").lines
    }
    assert rows["passing"] == "RepositoryRole 5 (ruleset strict)"


def test_the_portal_still_fast_forwards_a_protected_staging_as_its_own_app(world):
    type(world.project).objects.update(portal_app="release-portal")
    world.project.refresh_from_db()
    protected(world, "staging")

    found = lines(world, "staging")

    assert set(found.values()) == {"pass"}
    assert BranchProtection.objects.get(branch="staging").closed is False
    kept = world.github.state["protections"]["staging"]["required_pull_request_reviews"]
    assert kept["bypass_pull_request_allowances"]["apps"] == ["release-portal"]


ADMINS, OURS = frozenset(["administrators"]), frozenset(["Release-Portal"])


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("rules", "app_id", "closed"),
    [
        (Rules(), "", False),
        (Rules(closed_by=None), "", None),
        (Rules(closed_by=frozenset([CLASSIC])), "", True),
        (Rules(closed_by=frozenset([CLASSIC]), passing=None), "", None),
        (Rules(closed_by=frozenset([CLASSIC]), passing=OURS), "", False),
        (Rules(closed_by=frozenset([CLASSIC]), passing=ADMINS), "", False),
        (Rules(closed_by=frozenset([CLASSIC]), passing=ADMINS), "1001", True),
        (Rules(closed_by=frozenset([CLASSIC, "ruleset strict"]), passing=OURS), "", True),
    ],
)
def test_whether_the_portal_may_push_is_told_by_source(rules, app_id, closed, settings):
    settings.GITHUB_APP_ID, settings.GITHUB_TOKEN = app_id, "" if app_id else "token"

    assert protection_rules.closed_to_portal(Project(portal_app="release-portal"), rules) is closed


@pytest.mark.parametrize(
    ("bypass", "closed"), [("always", False), ("never", True), ("pull_requests_only", True)]
)
def test_a_ruleset_says_itself_whether_this_credential_passes(world, bypass, closed):
    ours = (
        [{"actor_type": "Integration", "actor_id": 1001, "bypass_mode": bypass}]
        if bypass != "never"
        else []
    )
    pull = {"required_approving_review_count": 1, "required_review_thread_resolution": False}
    mode = [
        our | {"bypass_mode": "pull_request" if bypass == "pull_requests_only" else "always"}
        for our in ours
    ]
    world.github.add_ruleset(
        {"type": "pull_request", "parameters": pull}, branch="staging", bypass_actors=mode
    )

    protection.read(world.project, now=timezone.now())

    assert BranchProtection.objects.get(branch="staging").closed is closed


def test_a_branch_that_is_not_long_lived_is_refused(world):
    with pytest.raises(Refused, match="not a long-lived branch"):
        actions.protect_branch(world.project, actor=world.person("alice"), branch="feature/ünïcode")


def test_what_cannot_be_read_is_not_known_and_never_fine(world):
    rules = Rules(
        None,
        None,
        None,
        None,
        None,
        None,
        None,
        None,
        ("The branch protection cannot be read: 403.",),
    )

    found = protection_rules.compared(world.project, "main", rules)

    assert {line.state for line in found} == {"wait"}


def test_one_unknown_source_leaves_open_what_the_other_does_not_demand():
    from environments.github.protection import UNKNOWN, together

    one = together([UNKNOWN, Rules(pull_request=True, force_pushes=False)])

    assert (one.pull_request, one.force_pushes) == (True, False)
    assert (one.approvals, one.checks, one.conversations, one.linear, one.passing) == (None,) * 5
