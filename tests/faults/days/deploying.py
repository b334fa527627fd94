"""Bad days after the merge: deployments, migrations, smoke tests, branches."""

from typing import TYPE_CHECKING

from tests.faults.days.stories import NOTHING, day, promote

if TYPE_CHECKING:
    from releases.models.releases import Release
    from tests.journeys.world import World


@day("a rollout under way", NOTHING, settled=False, must=())
def rollout(world: "World") -> "Release":
    """The merge is done, Railway is building."""
    from tests.journeys.test_release import prepare, reread

    release = prepare(world)
    world.railway.freeze()
    promote(world, release)
    world.work(lambda: bool(reread(release).merge_commit))
    for _ in range(3):
        from tests.journeys.world import run_due

        run_due()
    return release


@day("Railway never begins to deploy", "Redeploy", must=())
def never_begins(world: "World") -> "Release":
    """A push to main leaves no deployment of the frontend."""
    from tests.journeys.test_release import prepare, stopped_step

    world.project.deploy_minutes = 1
    world.project.save()
    release = prepare(world)
    world.railway.never_next("frontend", "production")
    promote(world, release)
    assert stopped_step(world, release).name == "deploy"
    return release


@day("a service crashes after the deployment", "Repair under Environments", must=())
def crashes(world: "World") -> "Release":
    """The backend was live, and crashed."""
    from tests.journeys.test_release import promote as shipped

    release = shipped(world)
    world.railway.finish_latest("backend", "production", "CRASHED")
    return release


@day("a smoke test fails", "Retry", must=("smoke",))
def smoke_fails(world: "World") -> "Release":
    """Production's frontend answers 500."""
    from datetime import timedelta
    from unittest.mock import patch

    from releases.steps import engine
    from tests.journeys.test_release import prepare, stopped_step

    release = prepare(world)
    world.railway.break_path("frontend", "production", "/", 500)
    with patch.object(engine, "SMOKE_PATIENCE", timedelta(seconds=1)):
        promote(world, release)
        assert stopped_step(world, release).name == "smoke"
    return release


@day("staging has moved on when it is to be synchronised", "Retry", must=())
def staging_moved(world: "World") -> "Release":
    """A commit on staging after the merge keeps it from being fast-forwarded."""
    from tests.journeys.test_release import prepare, reread, stopped_step

    release = prepare(world)
    promote(world, release)
    world.work(lambda: bool(reread(release).merge_commit))
    world.github.push_commit("staging", {"frontend/new.txt": "new"}, "Next feature")
    assert stopped_step(world, release).name == "sync_staging"
    return release


@day("a failed step was retried and went well", "Next open item", never=("failed:",))
def retried(world: "World") -> "Release":
    """The frontend's build failed, the commit was deployed again."""
    from releases.promotion import actions
    from tests.journeys.test_release import prepare, reread, stopped_step

    release = prepare(world)
    world.railway.fail_next("frontend", "production")
    promote(world, release)
    assert stopped_step(world, release).name == "deploy"
    actions.deploy_commit(release, actor=world.person("alice"))
    world.work(lambda: reread(release).status == "verifying")
    return release


@day("a step is being retried", NOTHING, settled=False)
def retrying(world: "World") -> "Release":
    """The click was a moment ago: what failed before is no news any more."""
    from releases.promotion import actions
    from tests.journeys.test_release import prepare, stopped_step

    release = prepare(world)
    world.railway.fail_next("frontend", "production")
    promote(world, release)
    assert stopped_step(world, release).name == "deploy"
    actions.retry_step(release, actor=world.person("alice"))
    return release


@day("production's database is elsewhere", "Retry", must=("elsewhere",))
def elsewhere(world: "World") -> "Release":
    """The version table names a revision that nobody knows."""
    import psycopg

    from tests.journeys.test_release import prepare, reread, stopped_step

    release = prepare(world)
    promote(world, release)
    world.work(lambda: bool(reread(release).merge_commit))
    with psycopg.connect(world.databases["production"], autocommit=True) as connection:
        connection.execute("update alembic_version set version_num = 'elsewhere'")
    assert stopped_step(world, release).name == "migrate"
    return release


@day("a migration fails half-way", "Retry", must=("half",))
def half_way(world: "World") -> "Release":
    """A unique index meets duplicates outside of a transaction."""
    import psycopg

    from tests.journeys.test_release import cut, make_ready, push, stopped_step
    from tests.journeys.test_risk import planned
    from tests.journeys.test_rollback import HALF

    commit = push(world, HALF)
    release = cut(world)
    planned(world, release, commit)
    make_ready(world, release)
    with psycopg.connect(world.databases["production"], autocommit=True) as connection:
        connection.execute("insert into workspaces (name) values ('twin'), ('twin')")
    promote(world, release)
    assert stopped_step(world, release).name == "migrate"
    return release


@day("staging's migration fails", "Migrate staging", must=())
def staging_migration_fails(world: "World") -> "Release":
    """Staging's database cannot be reached."""
    from releases.lifecycle import actions
    from tests.journeys.test_release import cut, reread

    release = cut(world)
    world.railway.set_variable(
        "staging", "backend", "DATABASE_URL", "postgresql://nobody:x@127.0.0.1:1/x"
    )
    run = actions.migrate_staging(release, actor=world.person("alice"))
    world.work(lambda: not reread(run).is_open)
    return release


@day("somebody redeploys an old commit on Railway", "Repair under Environments", must=("not",))
def redeployed(world: "World") -> "Release":
    """On Railway's dashboard, past the portal, after the release was verified."""
    from tests.journeys.test_release import head
    from tests.journeys.test_release import promote as shipped

    before = head(world, "main")
    release = shipped(world)
    world.railway.deploy("backend", "production", before, live=True)
    return release


@day("a service was deleted", "Open Environments", must=())
def service_removed(world: "World") -> "Release":
    """The frontend is gone from Railway."""
    from tests.journeys.test_release import prepare

    release = prepare(world)
    with world.railway.world.changing():
        service = world.railway.world.one("services", name="frontend")
        world.railway.world.drop("services", id=service["id"])
        world.railway.world.drop("instances", serviceId=service["id"])
    return release
