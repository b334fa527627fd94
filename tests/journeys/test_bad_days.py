"""Bad input and bad days: one clear sentence where the person looks, an event, and nothing lost."""

import psycopg
import pytest
from django.contrib.auth.models import Group
from django.utils import timezone

from environments.models import DeployOrder, MigrationRun
from portal.actions import Refused
from portal.jobs import Job
from portal.models import AuditEvent
from releases import actions, gates
from releases.facts import facts_of
from releases.models import GitHubSync, PromotionStep, StepName
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

    actions.promote(release, actor=world.person("alice"))
    world.work(lambda: reread(release).status == "verifying")

    steps = PromotionStep.objects.order_by("position")
    assert [step.name for step in steps][:3] == [StepName.MIGRATE, StepName.MERGE, StepName.DEPLOY]
    assert steps[0].migration_run.commit == release.candidate
    assert steps[0].finished_at <= steps[1].started_at


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [("computed.py", COMPUTED, "down_revision"), ("second.py", SECOND_HEAD, "2 heads")],
)
def test_migrations_that_cannot_be_read_or_run_fail_their_gate_and_name_the_file(world, name, text, words):
    world.github.push_commit("staging", {f"backend/alembic/versions/{name}": text}, "A migration")

    release = cut(world)

    result = gates.migrations_ready(facts_of(release.pk))
    assert result.state == gates.FAIL
    assert words in result.sentence
    assert name in result.sentence
    with pytest.raises(Refused):
        actions.migrate_staging(release, actor=world.person("alice"))


def test_an_edited_revision_that_was_shipped_is_named(world):
    git = world.github.git
    path = next(one for one in git.text("ls-tree", "-r", "--name-only", "main").splitlines() if "/versions/" in one)
    world.github.push_commit("staging", {path: git.text("show", f"main:{path}") + "\n# edited\n"}, "Edit history")

    release = cut(world)

    assert path in release.migrations_problem
    assert "Edited after it was shipped" in release.migrations_problem


def test_a_database_at_an_unknown_revision_stops_the_migration_and_a_retry_goes_on(world):
    release = prepare(world)
    actions.promote(release, actor=world.person("alice"))
    world.work(lambda: reread(release).merge_commit)  # before the merge the gates would stop it already
    with psycopg.connect(world.databases["production"], autocommit=True) as connection:
        connection.execute("update alembic_version set version_num = 'elsewhere'")

    step = stopped_step(world, release)

    assert step.name == "migrate"
    assert "elsewhere" in step.sentence
    assert "does not know" in step.sentence
    assert MigrationRun.objects.get(environment__kind="production").status == "failed"
    with psycopg.connect(world.databases["production"], autocommit=True) as connection:
        connection.execute("update alembic_version set version_num = '4d6f8b0c2e34'")
    actions.retry_step(release, actor=world.person("alice"))
    world.work(lambda: reread(release).status == "verifying")
    assert world.revisions("production") == sorted(release.heads)


def test_a_database_that_is_down_is_said_so_and_nothing_is_started(world):
    release = prepare(world)
    world.railway.set_variable("production", "backend", "DATABASE_URL", "postgresql://nobody:secret-word@127.0.0.1:1/x")
    actions.promote(release, actor=world.person("alice"))

    step = stopped_step(world, release)

    assert step.name == "migrate"
    assert "Nothing was changed" in step.sentence
    said = " ".join(AuditEvent.objects.values_list("sentence", flat=True)) + step.sentence
    assert "secret-word" not in said


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

    actions_ = AuditEvent.objects.filter(action__startswith="sync.").values_list("action", flat=True)
    assert sorted(actions_) == ["sync.failed", "sync.recovered"]


def test_what_is_promoted_already_cannot_be_promoted_again(world):
    release = prepare(world)
    actions.promote(release, actor=world.person("alice"))

    with pytest.raises(Refused, match="already"):
        actions.promote(release, actor=world.person("alice"))

    assert release.promotions.count() == 1


def test_a_freeze_refuses_and_lifting_it_allows(world):
    dave = world.person("dave")
    dave.is_superuser = True
    dave.save()
    release = prepare(world)
    actions.freeze(world.project, actor=dave, reason="Black Friday")

    with pytest.raises(Refused, match="Black Friday"):
        actions.promote(release, actor=world.person("alice"))

    actions.lift_freeze(world.project, actor=dave)
    assert actions.promote(release, actor=world.person("alice")).is_open


def test_a_second_person_must_approve_when_the_project_asks_for_it(world):
    world.project.required_approvals = 1
    world.project.save()
    world.person("alice").groups.add(Group.objects.get(name="Approvers"))
    release = cut(world)

    with pytest.raises(Refused, match="second person"):
        actions.approve(release, actor=world.person("alice"))
    actions.approve(release, actor=world.person("bob"), comment="read it")

    assert gates.approved(facts_of(release.pk)).passed
    world.github.push_commit("staging", {"frontend/more.txt": "more"}, "More")
    world.work(lambda: reread(release).collected == release.candidate != "" and bool(release.moved))
    assert not gates.approved(facts_of(release.pk)).passed
