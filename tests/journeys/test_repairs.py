"""Staging level with main again, branches and deployments put right: through actions, jobs and
stand-ins.
"""

import io

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import CommandError, call_command

from environments.branches import actions as branches_actions
from environments.findings.actions import resolve_finding
from environments.models import Finding, ServiceInstance, VariableSync
from environments.repairs import actions as repairs_actions
from portal import jobs
from portal.models.audit import AuditEvent
from portal.sandbox.server import Fault
from portal.ui.actions import NotPermitted, Refused

pytestmark = pytest.mark.slow


def sync_staging() -> tuple[int, str]:
    """What the command answers: its exit code and its sentence."""
    out = io.StringIO()
    try:
        call_command("sync_staging", stdout=out)
    except CommandError as error:
        return error.returncode, str(error)
    return 0, out.getvalue()


def ended(world, repair):
    world.work(lambda: not type(repair).objects.get(pk=repair.pk).is_open)
    repair.refresh_from_db()
    return repair


def instance(world, service: str, environment: str) -> ServiceInstance:
    world.work(lambda: ServiceInstance.objects.filter(environment__name=environment).count() == 2)
    return ServiceInstance.objects.select_related("service__project", "environment").get(
        service__name=service, environment__name=environment
    )


def test_staging_is_fast_forwarded_without_force_and_then_equal(world):
    number = world.github.open_pull("staging", "main", "Promotion")
    world.github.merge_pull(number)

    moved = sync_staging()
    again = sync_staging()

    heads = world.github.heads()
    assert (moved[0], again[0]) == (0, 0)
    assert heads["staging"] == heads["main"]
    assert [body for body in world.sent("PATCH", "/git/refs") if '"force": true' in body] == []
    assert len(world.sent("PATCH", "/git/refs")) == 1


def test_main_behind_staging_means_promote_first(world):
    before = world.github.heads()

    code, message = sync_staging()

    assert code == 3 and "Promote first" in message
    assert world.github.heads() == before


def test_a_hotfix_on_main_is_named_and_staging_stays(world):
    fix = world.github.push_commit("main", {"frontend/fix.txt": "fix"}, "Stop the bleeding")
    before = world.github.heads()["staging"]

    code, message = sync_staging()

    assert (
        code == 4 and f"hotfix {fix[:7]} “Stop the bleeding”" in message and "back-merge" in message
    )
    assert world.github.heads()["staging"] == before
    assert world.sent("PATCH", "/git/refs") == []


def test_a_squash_is_told_from_a_hotfix(world):
    number = world.github.open_pull("staging", "main", "Promotion")
    world.github.merge_pull(number, "squash")

    code, message = sync_staging()

    assert code == 4 and "squash " in message and f"(#{number})" in message


def test_the_back_merge_is_opened_once(world):
    world.github.push_commit("main", {"frontend/fix.txt": "fix"}, "Hotfix")
    alice = world.person("alice")

    first = ended(world, branches_actions.open_back_merge(world.project, actor=alice))
    second = ended(world, branches_actions.open_back_merge(world.project, actor=alice))

    assert first.status == second.status == "succeeded"
    assert first.evidence == second.evidence and first.evidence[0]["said"] == "main → staging"
    assert len(world.sent("POST", "/pulls")) == 1


def test_a_lost_answer_to_the_fast_forward_is_found_out_not_repeated(world):
    world.github.merge_pull(world.github.open_pull("staging", "main", "Promotion"))
    world.github_server.faults.append(Fault("drop", method="PATCH", path="/git/refs"))

    repair = ended(world, branches_actions.sync_staging(world.project, actor=world.person("alice")))

    assert (repair.status, repair.result) == ("succeeded", "moved")
    assert len(world.sent("PATCH", "/git/refs")) == 1


def test_a_service_on_the_wrong_branch_is_found_repaired_and_read_again(world):
    world.railway.set_trigger("frontend", "production", "staging")
    world.work(lambda: Finding.objects.filter(kind="branch", closed_at=None).exists())
    wrong, alice = instance(world, "frontend", "production"), world.person("alice")

    with pytest.raises(NotPermitted):
        repairs_actions.repair_branch(wrong, actor=world.person("carol"), wanted="main")
    with pytest.raises(Refused, match="Reload the page"):
        repairs_actions.repair_branch(wrong, actor=alice, wanted="develop")
    repair = ended(world, repairs_actions.repair_branch(wrong, actor=alice, wanted="main"))

    assert (repair.status, repair.before) == ("succeeded", "staging")
    assert not Finding.objects.filter(kind="branch", closed_at=None).exists()
    assert (
        len(
            [
                request
                for request in world.railway_server.requests
                if "deploymentTriggerUpdate" in request.body
            ]
        )
        == 1
    )
    assert AuditEvent.objects.filter(action="repair.ended", outcome="done").exists()


def test_a_push_that_railway_never_deployed_becomes_a_finding_and_is_deployed_by_one_click(world):
    live = instance(world, "backend", "production")
    world.railway.never_next("backend", "production")
    new = world.github.push_commit("main", {"backend/new.txt": "new"}, "Pushed")
    world.work(lambda: Finding.objects.filter(kind="behind", closed_at=None).exists())
    finding = Finding.objects.get(kind="behind", closed_at=None)

    with pytest.raises(Refused, match="Reload the page"):
        repairs_actions.deploy_head(live, actor=world.person("alice"), commit="0" * 40)
    world.work(lambda: Finding.objects.filter(kind="bypass", subject__contains=new).exists())
    world.work(lambda: world.project.branches.get(name="main").judged == new)
    with pytest.raises(Refused, match="around the portal"):
        repairs_actions.deploy_head(live, actor=world.person("alice"), commit=new)
    bypass = Finding.objects.get(kind="bypass", subject__contains=new)
    another = User.objects.create_user("frank", is_staff=True)
    another.groups.add(Group.objects.get(name="Release managers"))
    resolve_finding(bypass, actor=another, reason="It was looked at.")
    repair = ended(
        world, repairs_actions.deploy_head(live, actor=world.person("alice"), commit=new)
    )
    world.work(lambda: not Finding.objects.filter(kind="behind", closed_at=None).exists())

    assert finding.subject == "backend in production" and new[:7] in finding.sentence
    assert repair.status == "succeeded", repair.sentence
    assert (
        len(
            [
                request
                for request in world.railway_server.requests
                if "serviceInstanceDeployV2" in request.body
            ]
        )
        == 1
    )


def test_a_service_that_pushes_do_not_deploy_is_found_switched_on_and_read_again(world):
    row = instance(world, "backend", "production")
    place = {"environmentId": row.environment.railway_id, "serviceId": row.service.railway_id}
    switch = world.railway.world.one("instances", **place)
    switch["autoDeploy"] = False
    jobs.wake_now(VariableSync.objects.get())
    world.work(lambda: Finding.objects.filter(kind="push", closed_at=None).exists())
    row.refresh_from_db()
    finding, alice = Finding.objects.get(kind="push", closed_at=None), world.person("alice")

    with pytest.raises(NotPermitted):
        repairs_actions.switch_push_on(row, actor=world.person("carol"))
    repair = ended(world, repairs_actions.switch_push_on(row, actor=alice))
    row.refresh_from_db()

    assert "backend in production does not deploy when main is pushed" in finding.sentence
    assert (repair.status, row.autodeploy, switch["autoDeploy"]) == ("succeeded", True, True)
    assert not Finding.objects.filter(kind="push", closed_at=None).exists()
    writes = [
        request
        for request in world.railway_server.requests
        if "serviceInstanceAutoDeployUpdate" in request.body
    ]
    assert len(writes) == 1
    with pytest.raises(Refused, match="already"):
        repairs_actions.switch_push_on(row, actor=alice)


def test_a_repair_that_is_under_way_is_not_asked_for_twice(world):
    branches_actions.sync_staging(world.project, actor=None)

    with pytest.raises(Refused, match="already running"):
        branches_actions.sync_staging(world.project, actor=None)
