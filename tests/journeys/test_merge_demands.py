"""Whatever GitHub demands of the merge holds it up before anything is written to production or
its database.
"""

import json
from collections.abc import Callable

import pytest
from django.utils import timezone

from environments.models import DeployOrder, MigrationRun
from portal.ui.actions import Refused
from releases.gates.context import facts_of
from releases.models.promotion import PromotionStep
from releases.models.pull_requests import GitHubSync
from releases.promotion import actions
from releases.promotion import steps as promotion_steps
from releases.steps.engine import Done
from tests.journeys.test_release import prepare, readiness, reread

pytestmark = pytest.mark.slow
PULL = {
    "required_approving_review_count": 0,
    "required_review_thread_resolution": False,
    "dismiss_stale_reviews_on_push": False,
    "require_code_owner_review": False,
    "require_last_push_approval": False,
}
CHECKS = {
    "strict_required_status_checks_policy": True,
    "required_status_checks": [{"context": "python-ci"}],
}


def ruleset(kind: str, **parameters) -> Callable:
    """Lays a ruleset of one rule over main."""
    return lambda hub, number: hub.add_ruleset({"type": kind, "parameters": parameters})


def behind(hub, number):
    hub.push_commit("main", {"hotfix.txt": "x"}, "A hotfix")
    hub.add_ruleset({"type": "required_status_checks", "parameters": CHECKS})


def conversation(hub, number):
    hub.add_thread(number)
    hub.add_ruleset(
        {"type": "pull_request", "parameters": PULL | {"required_review_thread_resolution": True}}
    )


def changes_requested(hub, number):
    hub.add_review(number, "eve", "CHANGES_REQUESTED")
    hub.add_ruleset({"type": "pull_request", "parameters": PULL})


def stale_approval(hub, number):
    hub.protect("main", checks=("python-ci",), approvals=1)
    hub.add_review(number, "eve")
    hub.state["reviews"][-1]["state"] = "DISMISSED"


def code_owners(hub, number):
    hub.push_commit("main", {"CODEOWNERS": "* @owner\n"}, "Owners")
    hub.state["pulls"][-1]["base_sha"] = hub.heads()["main"]
    hub.add_ruleset(
        {"type": "pull_request", "parameters": PULL | {"require_code_owner_review": True}}
    )


def foreign_check(hub, number):
    checks = [{"context": "python-ci", "integration_id": 999}]
    hub.add_ruleset(
        {
            "type": "required_status_checks",
            "parameters": CHECKS | {"required_status_checks": checks},
        }
    )


DEMANDS: dict[str, Callable] = {
    "reviews": lambda hub, number: hub.protect("main", checks=("python-ci",), approvals=1),
    "reviews by ruleset": ruleset("pull_request", **PULL | {"required_approving_review_count": 1}),
    "stale approval": stale_approval,
    "last push": ruleset("pull_request", **PULL | {"require_last_push_approval": True}),
    "changes requested": changes_requested,
    "a check of another App": foreign_check,
    "a check that never ran": lambda hub, number: hub.protect(
        "main", checks=("never",), pull_request=True
    ),
    "conversations": conversation,
    "no merge commits": lambda hub, number: hub.set_settings(allow_merge_commit=False),
    "squash only by ruleset": ruleset(
        "pull_request", **PULL | {"allowed_merge_methods": ["squash"]}
    ),
    "linear history": ruleset("required_linear_history"),
    "merge queue": ruleset("merge_queue"),
    "signatures": ruleset("required_signatures"),
    "deployments": ruleset("required_deployments", required_deployment_environments=["qa"]),
    "locked": lambda hub, number: hub.protect(
        "main", checks=("python-ci",), pull_request=True, lock_branch=True
    ),
    "no updates": ruleset("update"),
    "code scanning": ruleset("code_scanning", code_scanning_tools=[]),
    "head branches deleted": lambda hub, number: hub.set_settings(delete_branch_on_merge=True),
    # Last, for a push to main is deployed as well, which is in the way of a release by itself.
    "code owners": code_owners,
    "up to date": behind,
}


def test_nothing_is_written_before_every_demand_holds_in_either_order(world):
    release = prepare(world)
    hub, number = world.github, reread(release).pull_number
    saved, alice = json.dumps(hub.state), world.person("alice")
    before = (hub.heads()["main"], world.revisions("production"))
    passed, sentences = [], set()

    def undo():
        with hub.change():
            hub.git.move("refs/heads/main", before[0], None)
            hub.state.clear()
            hub.state.update(json.loads(saved))

    for name, demand in DEMANDS.items():
        assert readiness(release).ready or name == "up to date", name
        demand(hub, number)
        main = hub.heads()["main"]
        _read(world)
        if readiness(release).ready:
            passed.append(f"{name}: the gates are green")
        with pytest.raises(Refused) as refused:
            actions.promote(release, actor=alice)
        sentences.add(str(refused.value))
        for order, look in _looks(world, release):
            if isinstance(look, Done) or "queued" in look.sentence or "Merged" in look.sentence:
                passed.append(f"{name}, {order}: {look.sentence}")
        if hub.heads()["main"] != main or world.revisions("production") != before[1]:
            passed.append(f"{name}: written")
        undo()
        _read(world)
        _read(world)

    assert passed == [] and all(
        "Merge allowed: " in sentence or "CI is green: " in sentence for sentence in sentences
    )
    assert world.sent("PUT", "/merge") == [] and not MigrationRun.objects.filter(
        environment__kind="production"
    )


def _read(world) -> None:
    moment = timezone.now()
    GitHubSync.objects.update(wake_at=moment)
    world.work(lambda: GitHubSync.objects.get().synced_at >= moment)


def _looks(world, release):
    """What the first step of each order says when the demand came up after the promotion was
    begun.
    """
    started = promotion_steps.Promotion.objects.create(
        release=release, started_by=world.person("alice"), gates=[]
    )
    for order, step in (
        (DeployOrder.DEPLOY_FIRST, "merge"),
        (DeployOrder.MIGRATE_FIRST, "migrate"),
    ):
        type(world.project).objects.update(deploy_order=order)
        database = world.project.databases.get() if step == "migrate" else None
        row = PromotionStep(
            promotion=started, position=0, name=step, database=database, started_at=timezone.now()
        )
        row.save()
        yield order, promotion_steps.STEPS[step](row, facts_of(release.pk))
    started.steps.all().delete()
    started.delete()
    type(world.project).objects.update(deploy_order=DeployOrder.DEPLOY_FIRST)
