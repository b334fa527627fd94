"""Out-of-band changes: found once, attributed, resolved by a person, and never opened
again.
"""

import json
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from environments.branches import actions as branches_actions
from environments.findings import actions as findings_actions
from environments.findings import out_of_band
from environments.models import (
    Branch,
    BranchProtection,
    DeploymentRequest,
    Environment,
    Finding,
    MigrationRun,
    ProtectionSync,
    RailwaySync,
    ServiceInstance,
    VariableSync,
)
from environments.repairs import actions as repairs_actions
from portal.models.audit import AuditEvent
from portal.models.webhooks import WebhookDelivery
from portal.ui.actions import Refused
from releases.checklist import actions as checklist_actions
from releases.lifecycle import actions as lifecycle_actions
from releases.models.pull_requests import BranchScan, GitHubSync
from releases.models.releases import ReleaseStatus
from releases.promotion import actions as promotion_actions
from tests.journeys.test_release import cut, prepare, promote, reread, stopped_step
from tests.reading import squeezed

pytestmark = pytest.mark.slow


def settled(world) -> None:
    """Everything was read once: what is there now is nobody's fault."""
    world.work(lambda: Branch.objects.exclude(judged="").count() == 2)
    world.work(
        lambda: ServiceInstance.objects.exclude(judged="").exclude(autodeploy=None).count() == 4
    )
    world.work(lambda: Environment.objects.exclude(variables_known={}).count() == 2)
    world.work(lambda: BranchProtection.objects.count() == 2)


def bypasses() -> list[Finding]:
    return list(Finding.objects.filter(kind="bypass").order_by("pk"))


def found(world, count: int = 1) -> list[Finding]:
    world.work(lambda: len(bypasses()) >= count)
    again(world)
    rows = bypasses()
    assert len(rows) == count, [row.sentence for row in rows]
    return rows


def again(world) -> None:
    """Every source is read once more."""
    before = timezone.now()
    Environment.objects.update(variables_etag="read them again")
    for model in (RailwaySync, GitHubSync, VariableSync, ProtectionSync, BranchScan):
        model.objects.update(wake_at=before)
    world.work(lambda: RailwaySync.objects.filter(synced_at__gte=before).exists())
    world.work(lambda: GitHubSync.objects.filter(synced_at__gte=before).exists())
    world.work(
        lambda: Environment.objects.filter(variables_at__gte=before, kind="production").exists()
    )
    world.work(lambda: BranchProtection.objects.filter(read_at__gte=before).count() == 2)
    world.work(lambda: BranchScan.objects.filter(wake_at__gt=before).exists())


def resolve(world, row: Finding) -> None:
    """Bob may not, without a reason nobody may; once resolved it stays so."""
    alice = world.person("alice")
    with pytest.raises(Refused, match="Give a reason"):
        findings_actions.resolve_finding(row, actor=alice, reason=" ")
    findings_actions.resolve_finding(row, actor=alice, reason="Agreed with the team on the phone")
    again(world)
    assert [bypass.pk for bypass in bypasses()] == [row.pk] and reread(row).closed_by == alice


def test_a_direct_push_to_staging_is_found_once_named_resolved_and_shown_until_then(world, client):
    settled(world)
    sha = world.github.push_commit(
        "staging", {"frontend/quick.txt": "quick\n"}, "Quick change", author="jonas"
    )

    [row] = found(world)
    release = cut(world)
    client.force_login(world.person("alice"))
    shown = squeezed(client.get(f"/releases/{release.pk}/"))
    resolve(world, row)
    page = squeezed(client.get("/environments/"))
    after = squeezed(client.get(f"/releases/{release.pk}/"))

    assert row.subject == f"push of {sha} to staging"
    assert f"{sha[:7]} “Quick change” was pushed straight to staging" in row.sentence
    assert "jonas" in row.sentence and "who did it is not known" in row.sentence
    assert row.sentence in shown and "Out-of-band changes" in shown
    assert (
        row.sentence not in after
        and "Agreed with the team on the phone" in page
        and "alice" in page
    )
    assert AuditEvent.objects.filter(action="finding.opened", subject_id=str(row.pk)).count() == 1
    assert AuditEvent.objects.filter(
        action="finding.resolved", subject_id=str(row.pk), actor_name="alice"
    ).exists()


def test_who_pushed_is_named_when_a_webhook_told(world):
    settled(world)
    sha = world.github.push_commit("main", {"frontend/quick.txt": "quick\n"}, "Quick change")
    body = json.dumps({"ref": "refs/heads/main", "after": sha, "pusher": {"name": "mallory"}})
    values = {
        "event": "push",
        "delivery": "1",
        "size": len(body),
        "body": body,
        "outcome": "handled",
    }
    WebhookDelivery.objects.create(source="github", received_at=timezone.now(), **values)

    [row] = found(world)

    assert f"{sha[:7]} “Quick change” was pushed straight to main by mallory" in row.sentence


def test_a_merge_around_the_portal_names_who_merged_and_what_the_status_said(world):
    settled(world)
    world.github.push_commit("fix/one", {"frontend/one.txt": "1\n"}, "One")
    number = world.github.open_pull("fix/one", "main", "One")
    world.github.state["protections"].pop("main")
    world.github.merge_pull(number, by="maria")
    ProtectionSync.objects.update(wake_at=timezone.now())
    rows = found(world, 2)  # the protection that was taken away, and the merge
    merge = next(row for row in rows if row.subject == f"merge of #{number} into main")

    assert "was merged into main by maria, without the status release-portal" in merge.sentence


def test_a_release_merged_by_hand_is_found_although_its_status_was_green(world):
    settled(world)
    release = cut(world)
    world.github.set_status(release.candidate, "release-portal", "success")
    world.github.merge_pull(release.pull_number, by="maria")
    merges = Finding.objects.filter(subject=f"merge of #{release.pull_number} into main")

    world.work(merges.exists)

    row = merges.get()
    assert row.kind == "bypass" and "by maria, not by the portal" in row.sentence
    lifecycle_actions.abandon(release, actor=world.person("alice"), reason="Merged by hand")
    again(world)
    assert merges.count() == 1
    # The status was another's too: a finding where the portal looked before the merge.
    strangers = [one.subject for one in bypasses() if one.pk != row.pk]
    assert all(one.startswith("status release-portal on") for one in strangers)


def test_a_merge_by_hand_during_the_promotion_is_found_and_nothing_is_migrated_for_it(world):
    settled(world)
    release, alice = prepare(world), world.person("alice")
    promotion_actions.promote(release, actor=alice)
    world.github.merge_pull(release.pull_number, by="mallory")

    step = stopped_step(world, release)

    assert step.name == "merge" and "by mallory, not by the portal" in step.sentence
    assert not MigrationRun.objects.filter(environment__kind="production").exists()
    row = Finding.objects.get(kind="bypass", subject=f"merge of #{release.pull_number} into main")
    findings_actions.resolve_finding(row, actor=alice, reason="It is the candidate")
    promotion_actions.retry_step(release, actor=alice)
    world.work(lambda: reread(release).status == "verifying")


def test_a_forced_push_is_found(world):
    settled(world)
    old = world.github.heads()["staging"]
    with world.github.change():
        world.github.git.move("refs/heads/staging", world.github.heads()["main"], old)

    [row] = found(world)

    assert row.subject.startswith("forced push of ") and "moved by force" in row.sentence


def test_redeploys_and_rollbacks_on_the_dashboard_are_found_with_who_made_them(world):
    settled(world)
    first = world.railway.latest("backend", "production")["id"]
    again_id = world.railway.redeploy("backend", "production", by="Mallory Jones")
    world.work(lambda: ServiceInstance.objects.filter(judged=again_id).exists())
    [redeployed] = bypasses()
    world.work(lambda: world.railway.latest("backend", "production")["status"] == "SUCCESS")
    world.railway.roll_back(first, by="Mallory Jones")

    rows = found(world, 2)

    assert redeployed.subject == f"deployment {again_id} on backend in production"
    assert (
        "was deployed again" in redeployed.sentence
        and "by Mallory Jones, outside the portal" in redeployed.sentence
    )
    assert "brought back by a rollback" in rows[1].sentence


def test_variable_edits_are_named_without_values_and_the_first_reading_is_none(world):
    world.railway.set_variable("production", "backend", "SEALED", "secret-one", sealed=True)
    world.railway.set_variable("production", "backend", "LEVEL", "canary-one")
    settled(world)
    assert bypasses() == []
    world.railway.set_variable("production", "backend", "LEVEL", "canary-two")
    world.railway.set_variable("production", "backend", "NEW", "canary-new")
    world.railway.set_variable("production", "backend", "SEALED", "secret-two", sealed=True)
    VariableSync.objects.update(wake_at=timezone.now())

    [row] = found(world)

    assert (
        "Variables of backend in production were edited on Railway: LEVEL changed; NEW added"
        in row.sentence
    )
    assert "SEALED" not in row.sentence and "canary" not in row.sentence
    resolve(world, row)


def test_a_changed_key_of_the_fingerprints_accuses_nobody(world, settings):
    settled(world)
    settings.SECRET_KEY = "another key altogether, long enough to be one"
    again(world)

    assert bypasses() == []


def test_a_moved_trigger_and_a_switched_off_deployment_are_found_and_our_repair_is_not(world):
    settled(world)
    world.railway.set_trigger("frontend", "production", "staging")
    world.railway.switch_autodeploy("backend", "production", False)
    VariableSync.objects.update(wake_at=timezone.now())
    rows = found(world, 2)
    wrong = ServiceInstance.objects.select_related("service__project", "environment").get(
        service__name="frontend", environment__name="production"
    )
    repair = repairs_actions.repair_branch(wrong, actor=world.person("alice"), wanted="main")
    world.work(lambda: not reread(repair).is_open)

    again(world)

    message = " ".join(row.sentence for row in rows)
    assert "frontend in production follows staging; before, it followed main" in message
    assert "A push no longer deploys backend in production" in message
    assert len(bypasses()) == 2 and repair.status == "succeeded"


def test_a_weakened_protection_is_found_and_our_own_is_not(world):
    settled(world)
    repair = branches_actions.protect_branch(
        world.project, actor=world.person("alice"), branch="main"
    )
    world.work(lambda: not reread(repair).is_open)
    again(world)
    assert bypasses() == []
    world.github.protect(
        "main", checks=("python-ci",), pull_request=True, approvals=1, enforce_admins=False
    )
    ProtectionSync.objects.update(wake_at=timezone.now())

    [row] = found(world)

    assert "The protection of main was changed" in row.sentence and "became" in row.sentence


def test_the_portals_own_acts_are_never_found_during_a_whole_release(world):
    settled(world)
    world.railway.fail_next("backend", "production")
    release = promote(world, until="promoting")
    world.work(
        lambda: release.promotions.filter(status__in=["failed", "needs_person"]).exists(),
        seconds=60,
    )
    promotion_actions.deploy_commit(release, actor=world.person("alice"))
    world.work(lambda: reread(release).status == ReleaseStatus.VERIFYING, seconds=60)
    for item in release.items.filter(phase="after", gate=""):
        checklist_actions.tick(item, actor=world.person("alice"), note="looked at")
    world.work(lambda: reread(release).status == ReleaseStatus.DONE)

    again(world)

    assert [row.sentence for row in bypasses()] == []
    assert set(Branch.objects.values_list("judged", flat=True)) == {release.merge_commit}
    assert DeploymentRequest.objects.exclude(railway_id="").count() == 1


def test_one_event_is_one_row_for_good(world):
    now = timezone.now()

    first = out_of_band.note(world.project, "push of x to main", "Somebody pushed.", now=now)
    findings_actions.resolve_finding(
        Finding.objects.get(), actor=world.person("alice"), reason="known"
    )
    second = out_of_band.note(world.project, "push of x to main", "Somebody pushed.", now=now)

    assert (first, second) == (True, False) and len(bypasses()) == 1
    with pytest.raises(IntegrityError), transaction.atomic():
        Finding.objects.create(
            project=world.project, kind="bypass", subject="push of x to main", sentence="y"
        )


def test_a_deployment_whose_answer_was_lost_is_told_by_commit_and_time_and_once(world):
    settled(world)
    instance, now = ServiceInstance.objects.first(), timezone.now()
    out_of_band.ask(instance, "a" * 40, now=now)

    late = out_of_band.is_ours(instance, "d0", "a" * 40, now + timedelta(hours=1))
    ours = out_of_band.is_ours(instance, "d1", "a" * 40, now + timedelta(seconds=5))
    theirs = out_of_band.is_ours(instance, "d2", "a" * 40, now + timedelta(seconds=9))

    assert (late, ours, theirs) == (False, True, False)
    assert out_of_band.is_ours(instance, "d1", "a" * 40, None)
