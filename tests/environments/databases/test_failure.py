"""After a failed migration: what the pages say, and the one button."""

import pytest
from django.test import Client
from django.urls import reverse

from environments.databases import actions, permission, run_result
from environments.databases.failure import failure_report_of
from environments.git.repository import Mirror
from environments.models import MigrationRun, Project, StagedRevision
from environments.schema.history.graph import History
from environments.schema.history.revision import Revision
from environments.schema.run.request import Outcome
from portal.jobs import Finished, Requeue
from portal.models.audit import AuditEvent
from portal.ui.actions import NotPermitted, Refused
from tests.factory import REVISIONS, make_people, make_project, make_release, make_run
from tests.reading import squeezed

FAILED = {
    "status": "failed",
    "sentence": "Revision 4d1a2b3c4d5e failed: deadlock detected.",
    "after": ["3c9d56f82e10"],
    "applied": [["3c9d56f82e10", 0.4]],
    "failed_revision": "4d1a2b3c4d5e",
    "failed_statement": "CREATE INDEX CONCURRENTLY ix_events ON events (workspace_id)",
    "invalid_indexes": ["ix_events"],
    "kept": ["CREATE TABLE scratch (id INTEGER)", "ALTER TYPE mood ADD VALUE 'new'"],
}


@pytest.fixture
def people(db):
    return make_people()


@pytest.fixture
def project(people):
    return make_project()


def page_of(person, address: str) -> str:
    client = Client()
    client.force_login(person)
    return squeezed(client.get(address))


def test_a_run_whose_database_went_away_is_repeated_a_few_times_and_then_a_person_is_asked(project):
    run = make_run(project, status="running", finished_at=None)
    lost = Outcome("failed", "The line was cut.", (), (), repeatable=True)

    def ended(crashes: int) -> Requeue | Finished:
        run.crashes = crashes
        return run_result._ended(run, History((), {}, (), (), ()), lost)

    first, last = ended(1), ended(run_result.REPEATS + 1)

    assert isinstance(first, Requeue) and first.errored, "so that the next look counts"
    assert first.sentence.endswith("What had begun was rolled back; the run is repeated.")
    assert isinstance(last, Finished) and last.status == "failed"


def test_the_page_of_a_failed_run_names_what_is_half_applied_and_what_to_type(people, project):
    run = make_run(project, **FAILED)

    html = page_of(people["alice"], reverse("environments:migration", args=[run.pk]))

    for message in (
        "1 of 2 revisions are applied; the database is at: 3c9d56f82e10.",
        "Invalid: ix_events.",
        "DROP INDEX CONCURRENTLY IF EXISTS ix_events;",
        "DROP TABLE scratch;",
        "ALTER TYPE mood ADD VALUE",
        "CREATE INDEX CONCURRENTLY ix_events ON events (workspace_id)",
        "Retry run",
        "Run by",
    ):
        assert message in html, message
    assert "Retry run" not in page_of(
        people["carol"], reverse("environments:migration", args=[run.pk])
    )


def test_the_page_of_the_release_says_the_same(people, project):
    release = make_release(project, by=people["alice"])
    make_run(project, **FAILED)

    html = page_of(people["alice"], f"/releases/{release.pk}/")

    assert "DROP INDEX CONCURRENTLY IF EXISTS ix_events;" in html and "Retry run" in html


def test_a_run_that_was_rolled_back_as_a_whole_says_that_nothing_is_half_applied(people, project):
    clean = make_run(project, **FAILED | {"invalid_indexes": [], "kept": []})
    theirs = make_run(project, **FAILED | {"invalid_indexes": [], "kept": [], "runner": "command"})
    lost = make_run(project, **FAILED | {"status": "needs_person", "after": None, "kept": []})

    assert (
        "rolled back" in failure_report_of(clean).half and failure_report_of(clean).commands == ()
    )
    assert "cannot see what the failed revision did" in failure_report_of(theirs).half
    assert failure_report_of(lost).commands[0].command == "SELECT version_num FROM alembic_version;"
    assert failure_report_of(make_run(project)) is None


def test_the_button_starts_a_new_run_of_the_same_commit_and_is_on_record(people, project):
    run = make_run(project, **FAILED, requested_by=people["alice"])
    client = Client()
    client.force_login(people["alice"])

    answer = client.post(reverse("environments:migration-retry", args=[run.pk]))

    fresh = MigrationRun.objects.order_by("-pk")[0]
    assert (
        answer["Location"] == reverse("environments:migration", args=[fresh.pk])
        and fresh.pk != run.pk
    )
    assert (fresh.commit, fresh.status, fresh.requested_by) == (
        run.commit,
        "queued",
        people["alice"],
    )
    event = AuditEvent.objects.get(action="migration.retried", outcome="done")
    assert event.data["run"] == fresh.pk


def test_what_cannot_be_retried_is_refused_in_one_sentence(people, project):
    alice, shipped = people["alice"], make_run(project, kind="production", **FAILED)
    older, newer = make_run(project, **FAILED), make_run(project, **FAILED)
    done = make_run(project)

    for run, words in (
        (shipped, "its step on the release's page"),
        (older, "newest"),
        (done, "nothing to retry"),
    ):
        with pytest.raises(Refused, match=words):
            actions.retry_migration(run, actor=alice)
    with pytest.raises(NotPermitted):
        actions.retry_migration(newer, actor=people["carol"])
    assert failure_report_of(shipped).retry is False


def test_a_step_back_that_failed_is_not_turned_into_an_upgrade_by_one_person(people, project):
    alice, bob = people["alice"], people["bob"]
    run = make_run(
        project,
        kind="production",
        status="failed",
        direction="downgrade",
        requested_by=alice,
        approved_by=bob,
    )

    with pytest.raises(Refused, match="Two people approved this downgrade"):
        actions.retry_migration(run, actor=alice)

    assert failure_report_of(run).retry is False


def test_production_never_starts_after_a_staging_whose_end_is_not_known(people, project, tmp_path):
    one = REVISIONS[1]
    file = Revision(
        one["id"], (), (), (), one["path"], one["sha256"], one["message"], has_downgrade=True
    )
    history = History(("versions",), {file.id: file}, (file.id,), (file.id,), ())
    run = make_run(project, status="running", after=None)
    StagedRevision.objects.all().delete()

    outcome = Outcome("unknown", "It is not known.", ("a",), None)
    ended = run_result.settle(run, Mirror(tmp_path), history, outcome)

    assert isinstance(ended, Finished) and ended.status == "needs_person"
    assert not StagedRevision.objects.exists()
    shipped = make_run(project, kind="production", status="running")
    refusal = permission._not_proven(shipped, [file])
    assert refusal is not None and "Staging has not run these files" in refusal.sentence


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"runner": "command"}, "database_runner_has_command"),
        ({"runner": "verify", "deploy_order": "migrate_first"}, "project_railway_deploys_first"),
    ],
)
def test_a_runner_that_could_not_run_is_refused_by_the_database(project, settings, words):
    from django.db import IntegrityError

    with pytest.raises(IntegrityError, match=words):
        project.databases.update(runner=settings.pop("runner"))
        Project.objects.filter(pk=project.pk).update(**settings)
