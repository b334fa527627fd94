"""A release by each runner, and what is left when one is stopped: on real PostgreSQL, with real
commands.
"""

import sysconfig
import threading
import time

import pytest
from django.db import connections

from environments.databases import actions as environment_actions
from environments.databases import pre_deploy_command
from environments.models import Finding, MigrationRun, RailwaySync, ServiceInstance
from environments.railway import Railway
from portal.jobs import wake_now
from portal.sandbox.server import Fault
from releases.checklist import actions as checklist_actions
from releases.lifecycle import actions as lifecycle_actions
from releases.models.promotion import PromotionStep
from releases.promotion import actions as promotion_actions
from tests.environments.schema.run.test_command import INSTALL
from tests.journeys.test_release import cut, promote, readiness, reread
from tests.journeys.world import running_world

pytestmark = pytest.mark.slow
UPGRADE = "python -m alembic upgrade head"
HERE = {
    "runner": "command",
    "migration_command": f"cd backend && {UPGRADE}",
    "install_command": INSTALL.strip(),
}
RAILWAY = {"runner": "railway", "migration_command": UPGRADE}


def use(world, **settings) -> None:
    world.project.databases.update(**settings)


def backend(kind: str) -> tuple[str, str]:
    """Railway's ids of the environment and of the service that migrates there."""
    instance = ServiceInstance.objects.select_related("service", "environment").get(
        service__name="backend", environment__kind=kind
    )
    return instance.environment.railway_id, instance.service.railway_id


def set_on_railway(kind: str, *command: str) -> None:
    place, service = backend(kind)
    Railway().stage_pre_deploy(place, service, command)
    Railway().commit_staged(place, "by hand")


def is_set(kind: str) -> tuple[str, ...]:
    return Railway().pre_deploy(*backend(kind))


def started(world, **settings) -> MigrationRun:
    """A run in staging at the candidate of a release that was just cut."""
    release = cut(world)
    use(world, **settings)
    staging = world.project.environments.get(kind="staging")
    return environment_actions.start_migration(
        staging,
        database=world.project.databases.get(),
        actor=world.person("alice"),
        commit=release.candidate,
    )


def finish(world, run: MigrationRun, seconds: float = 60) -> MigrationRun:
    world.work(lambda: not reread(run).is_open, seconds=seconds)
    return run


def runs_of(world) -> dict[str, MigrationRun]:
    return {run.environment.kind: run for run in MigrationRun.objects.select_related("environment")}


def evidence(run: MigrationRun, release) -> None:
    assert run.status == "succeeded", run.sentence
    assert (
        run.after == run.target == sorted(release.heads) and run.before and run.before != run.after
    )
    assert (
        [one[0] for one in run.applied]
        == [one["id"] for one in run.planned]
        == [migration["id"] for migration in release.migrations]
    )


def test_the_projects_own_command_takes_a_release_to_production(world):
    use(world, **HERE)

    release = promote(world)

    runs = runs_of(world)
    for kind in ("staging", "production"):
        evidence(runs[kind], release)
        assert runs[kind].runner == "command" and "Running: cd backend" in runs[kind].log
        assert world.revisions(kind) == sorted(release.heads)
    assert "Preparing the environment for backend/requirements.txt" in runs["staging"].log
    assert "Preparing" not in runs["production"].log, (
        "the environment is made once for its lock files"
    )
    assert sysconfig.get_path("purelib") not in runs["production"].log


def test_a_pre_deploy_command_on_railway_takes_a_release_to_production_and_is_put_back(world):
    use(world, **RAILWAY)
    world.work(lambda: ServiceInstance.objects.filter(service__name="backend").count() == 2)
    set_on_railway("staging", "echo as it was")

    release = promote(world)

    runs = runs_of(world)
    for kind in ("staging", "production"):
        evidence(runs[kind], release)
        assert world.revisions(kind) == sorted(release.heads)
        assert (
            "Setting the pre-deploy command" in runs[kind].log
            and "Starting Container" in runs[kind].log
        )
    assert (is_set("staging"), is_set("production")) == (("echo as it was",), ())
    wishes = [
        request.body
        for request in world.railway_server.requests
        if "serviceInstanceDeployV2" in request.body
    ]
    assert len(wishes) == 2 and release.merge_commit in wishes[1], (
        "exactly the commit is deployed, once for each run"
    )
    assert not Finding.objects.filter(kind="bypass").exists(), (
        "nobody is accused of what the portal did"
    )


def test_where_railway_migrates_by_itself_the_portal_verifies_and_keeps_the_evidence(world):
    use(world, runner="verify")
    world.work(lambda: ServiceInstance.objects.filter(service__name="backend").count() == 2)
    for kind in ("staging", "production"):
        set_on_railway(kind, UPGRADE)
    release = cut(world)
    world.railway.deploy("backend", "staging", release.candidate)
    alice = world.person("alice")

    release = promote_cut(world, release, alice)

    runs = runs_of(world)
    for kind in ("staging", "production"):
        assert runs[kind].status == "succeeded" and runs[kind].after == sorted(release.heads), runs[
            kind
        ].sentence
        assert "Railway migrated while it deployed" in runs[kind].sentence
    evidence(runs["production"], release)
    assert not [
        request
        for request in world.railway_server.requests
        if "serviceInstanceDeployV2" in request.body
    ]
    assert PromotionStep.objects.get(name="migrate").sentence.endswith(
        f"at {', '.join(sorted(release.heads))}."
    )


def promote_cut(world, release, alice):
    finish(world, lifecycle_actions.migrate_staging(release, actor=alice))
    for item in release.items.filter(phase="before", gate=""):
        checklist_actions.tick(item, actor=alice, note="read")
    world.work(lambda: readiness(release).ready)
    promotion_actions.promote(release, actor=alice)
    world.work(lambda: reread(release).status == "verifying", seconds=60)
    return release


def test_a_command_that_fails_on_railway_fails_the_run_with_its_log_and_is_put_back(world):
    command = (
        "echo Running upgrade  -\\> nowhere; echo canary-$SECRET_KEY; echo '[SQL: select 1 from"
        " nowhere]'; exit 3"
    )
    world.railway.set_variable("staging", "backend", "SECRET_KEY", "hush-hush-9000", sealed=False)

    run = finish(world, started(world, **RAILWAY | {"migration_command": command}))

    assert run.status == "failed" and "ended as FAILED" in run.sentence, run.sentence
    assert run.after == run.before == world.revisions("staging")
    assert run.failed_statement == "select 1 from nowhere"
    assert "canary-•••" in run.log and "hush-hush-9000" not in run.log
    assert is_set("staging") == ()


@pytest.mark.django_db(transaction=True)
def test_a_run_on_railway_that_is_cancelled_stops_the_deployment_and_reads_the_database(
    tmp_path, settings
):
    with running_world(tmp_path, settings) as world:
        run = started(world, **RAILWAY | {"migration_command": "echo begun; sleep 600"})
        person = threading.Thread(target=_cancel_when_begun, args=(run, world.person("alice")))
        person.start()

        finish(world, run)

        person.join()
        assert run.status == "cancelled" and run.after == world.revisions("staging"), run.sentence
        assert world.railway.latest("backend", "staging")["status"] == "REMOVED"
        assert is_set("staging") == ()


def _cancel_when_begun(run: MigrationRun, actor) -> None:
    """A person beside the worker, with the page of the run open."""
    seen = MigrationRun.objects.get(pk=run.pk)
    while "\nbegun" not in reread(seen).log and seen.is_open:
        time.sleep(0.1)
    environment_actions.cancel_migration(seen, actor=actor)
    connections.close_all()


def test_a_killed_run_on_railway_is_taken_up_again_with_its_own_deployment(world):
    release = cut(world)
    use(world, **RAILWAY)
    staging = world.project.environments.get(kind="staging")
    run = environment_actions.start_migration(
        staging,
        database=world.project.databases.get(),
        actor=world.person("alice"),
        commit=release.candidate,
    )
    place, service = backend("staging")
    known = [
        deployment.id
        for deployment in Railway().deployments(world.railway.project_id, place, service, 10)
    ]
    set_on_railway("staging", UPGRADE)
    begun = Railway().deploy_commit(place, service, release.candidate)
    MigrationRun.objects.filter(pk=run.pk).update(  # a worker died here
        before=world.revisions("staging"),
        target=release.heads,
        planned=[
            {"id": migration["id"], "path": migration["path"], "sha256": migration["sha256"]}
            for migration in release.migrations
        ],
        railway={
            "service": service,
            "was": ["echo as it was"],
            "command": [UPGRADE],
            "known": known,
            "deployment": "",
        },
    )

    finish(world, run)

    assert run.status == "succeeded" and run.after == world.revisions("staging") == sorted(
        release.heads
    )
    assert Railway().deployments(world.railway.project_id, place, service, 1)[0].id == begun, (
        "no second one"
    )
    assert is_set("staging") == ("echo as it was",)


def test_what_could_not_be_put_back_is_put_back_by_the_next_reading(world):
    run = started(world, **RAILWAY | {"migration_command": "exit 1"})
    place, service = backend("staging")
    Railway().stage_pre_deploy(
        place, service, ["echo somebody else"]
    )  # staged by a person, not committed
    stuck = finish(world, run)
    assert (
        stuck.status == "failed" and "staged changes" in stuck.sentence and is_set("staging") == ()
    )
    Railway().commit_staged(place, "by hand")
    MigrationRun.objects.filter(
        pk=run.pk
    ).update(  # as after too many crashes: ended without coming to it
        railway={
            "service": service,
            "was": [],
            "command": ["echo somebody else"],
            "known": [],
            "deployment": "",
        }
    )

    wake_now(RailwaySync.objects.get(project=world.project))
    world.work(lambda: is_set("staging") == ())

    assert reread(run).railway["put_back"] is True
    assert pre_deploy_command.put_back(run) == ""


def test_an_answer_that_is_lost_deploys_once(world):
    run = started(world, **RAILWAY)
    world.railway_server.faults.append(Fault("drop", body="serviceInstanceDeployV2"))

    finish(world, run)

    assert run.status == "succeeded", run.sentence
    deployments = Railway().deployments(world.railway.project_id, *backend("staging"), 10)
    assert [deployment.commit for deployment in deployments].count(run.commit) == 2, (
        "the one that was live, and one of the run"
    )


def test_a_service_that_is_missing_is_named_and_nothing_is_changed(world):
    run = started(world, **RAILWAY, service="worker")

    finish(world, run)

    assert run.status == "failed" and "no service “worker”" in run.sentence
