"""Bad input and bad days: one clear sentence where the person looks, an event, and nothing lost."""

import psycopg
import pytest
from django.contrib.auth.models import Group
from django.utils import timezone

from environments.models import DeployOrder, MigrationRun
from portal.jobs import Job
from portal.models.audit import AuditEvent
from portal.ui.actions import Refused
from releases import gates
from releases.approvals import actions as approvals_actions
from releases.freezes import actions as freezes_actions
from releases.gates.context import facts_of
from releases.lifecycle import actions as lifecycle_actions
from releases.models.promotion import PromotionStep, StepName
from releases.models.pull_requests import GitHubSync
from releases.promotion import actions as promotion_actions
from tests.journeys.test_release import cut, prepare, reread, stopped_step

pytestmark = pytest.mark.slow

COMPUTED = '''"""computed"""
revision = "7c0ffee00001"
down_revision = "6f8b" + str(0) + "d2e4a56"
def upgrade(): pass
def downgrade(): pass
'''
SECOND_HEAD = '''"""a second head"""
revision = "7c0ffee00002"
down_revision = "4d6f8b0c2e34"
def upgrade(): pass
def downgrade(): pass
'''


def look_now(job: Job) -> None:
    """Makes the worker look at once instead of at its usual time."""
    type(job).objects.filter(pk=job.pk).update(wake_at=timezone.now())


def test_migrate_first_brings_the_schema_before_the_merge(world):
    world.project.deploy_order = DeployOrder.MIGRATE_FIRST
    world.project.save()
    release = prepare(world)

    promotion_actions.promote(release, actor=world.person("alice"))
    world.work(lambda: reread(release).status == "verifying")

    steps = PromotionStep.objects.order_by("position")
    assert [step.name for step in steps][:3] == [StepName.MIGRATE, StepName.MERGE, StepName.DEPLOY]
    assert steps[0].migration_run.commit == release.candidate
    assert steps[0].finished_at <= steps[1].started_at


def test_migrations_that_cannot_be_read_run_or_trusted_fail_their_gate_and_name_the_file(world):
    git, versions = world.github.git, "backend/alembic/versions/"
    shipped = next(
        splitline
        for splitline in git.text("ls-tree", "-r", "--name-only", "main").splitlines()
        if versions in splitline
    )
    edited = {shipped: git.text("show", f"main:{shipped}") + "\n# edited\n"}
    world.github.push_commit("staging", {f"{versions}computed.py": COMPUTED}, "A migration")
    release = cut(world)

    for name, text, words in (
        ("computed.py", COMPUTED, "down_revision"),
        ("second.py", SECOND_HEAD, "2 heads"),
    ):
        alone = {f"{versions}computed.py": None, f"{versions}second.py": None} | {
            f"{versions}{name}": text
        }
        moved(
            world,
            release,
            {path: text for path, text in alone.items() if text or path in held(world)},
        )
        result = gates.GATES["migrations_ready"](facts_of(release.pk))
        assert result.state == gates.FAIL
        assert words in result.sentence
        assert name in result.sentence
        with pytest.raises(Refused):
            lifecycle_actions.migrate_staging(release, actor=world.person("alice"))
    moved(world, release, edited | {f"{versions}second.py": None})

    fresh = reread(release)
    assert fresh.migrations_problem == "", "a comment changes nothing that is run"
    assert [(edit["path"], edit["kind"]) for edit in fresh.edits] == [(shipped, "form")]


def held(world) -> list[str]:
    """The paths on staging."""
    return world.github.git.text("ls-tree", "-r", "--name-only", "staging").splitlines()


def moved(world, release, files: dict[str, str | None]) -> None:
    """Pushes `files` to staging and waits until the release has collected them."""
    commit = world.github.push_commit("staging", files, "Another try")
    world.work(lambda: reread(release).collected == commit)


def test_a_promotion_respects_a_freeze_runs_once_and_stops_at_a_database_that_is_down_or_elsewhere(
    world,
):
    dave = world.person("dave")
    dave.is_superuser = True
    dave.save()
    release, alice = prepare(world), world.person("alice")
    freezes_actions.freeze(world.project, actor=dave, reason="Black Friday")
    with pytest.raises(Refused, match="Black Friday"):
        promotion_actions.promote(release, actor=alice)
    freezes_actions.lift_freeze(world.project, actor=dave)
    assert promotion_actions.promote(release, actor=alice).is_open
    with pytest.raises(Refused, match="already"):
        promotion_actions.promote(release, actor=alice)
    assert release.promotions.count() == 1
    freezes_actions.freeze(world.project, actor=dave, reason="Black Friday")  # in the last moment
    step = stopped_step(world, release)
    assert (step.name, world.sent("PUT", "/merge")) == (
        "merge",
        [],
    ) and "Black Friday" in step.sentence
    freezes_actions.lift_freeze(world.project, actor=dave)
    promotion_actions.retry_step(release, actor=alice)
    world.work(
        lambda: reread(release).merge_commit
    )  # before the merge the gates would stop it already
    url = world.databases["production"]
    world.railway.set_variable(
        "production", "backend", "DATABASE_URL", "postgresql://nobody:secret-word@127.0.0.1:1/x"
    )

    step = stopped_step(world, release)

    assert step.name == "migrate"
    assert "Nothing was changed" in step.sentence
    message = " ".join(AuditEvent.objects.values_list("sentence", flat=True)) + step.sentence
    assert "secret-word" not in message

    world.railway.set_variable("production", "backend", "DATABASE_URL", url)
    at(world, "elsewhere")
    promotion_actions.retry_step(release, actor=alice)
    step = stopped_step(world, release)

    assert step.name == "migrate"
    assert "elsewhere" in step.sentence
    assert "does not know" in step.sentence
    runs = MigrationRun.objects.filter(environment__kind="production")
    assert set(runs.values_list("status", flat=True)) == {"failed"}

    at(world, "4d6f8b0c2e34")
    promotion_actions.retry_step(release, actor=alice)
    world.work(lambda: reread(release).status == "verifying")
    assert world.revisions("production") == sorted(release.heads)


def at(world, revision: str) -> None:
    """Production's database says that it is at `revision`."""
    with psycopg.connect(world.databases["production"], autocommit=True) as connection:
        connection.execute("update alembic_version set version_num = %s", [revision])


def test_a_token_with_a_line_break_is_named_without_being_shown(world, settings):
    settings.GITHUB_TOKEN = "sandbox-github-token\n"

    world.work(lambda: GitHubSync.objects.get().problem != "")

    sync = GitHubSync.objects.get()
    assert "line break" in sync.problem
    assert "sandbox-github-token" not in sync.problem
    failed = AuditEvent.objects.filter(action="sync.failed", outcome="failed")
    assert [one.data["source"] for one in failed].count("GitHub") == 1


def test_a_token_that_is_refused_is_said_so_and_recovery_too(world, settings):
    settings.RAILWAY_API_TOKEN = "somebody-else"
    world.work(lambda: reread(world.project.railway_sync).problem != "")

    settings.RAILWAY_API_TOKEN = "sandbox-railway-token"
    look_now(world.project.railway_sync)
    world.work(lambda: reread(world.project.railway_sync).problem == "")

    actions_ = AuditEvent.objects.filter(action__startswith="sync.").values_list(
        "action", flat=True
    )
    assert sorted(actions_) == ["sync.failed", "sync.recovered"]


def test_a_second_person_must_approve_when_the_project_asks_for_it(world):
    world.project.required_approvals = 1
    world.project.save()
    world.person("alice").groups.add(Group.objects.get(name="Approvers"))
    release = cut(world)

    with pytest.raises(Refused, match="second person"):
        approvals_actions.approve(release, actor=world.person("alice"))
    approvals_actions.approve(release, actor=world.person("bob"), comment="read it")

    assert gates.GATES["approved"](facts_of(release.pk)).passed
    world.github.push_commit("staging", {"frontend/more.txt": "more"}, "More")
    world.work(lambda: reread(release).collected == release.candidate != "" and bool(release.moved))
    assert not gates.GATES["approved"](facts_of(release.pk)).passed
