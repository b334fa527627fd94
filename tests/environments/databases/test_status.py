"""Where the databases stand, from git and rows to findings and the page Migrations."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from environments.databases import status as databases_status
from environments.drift import detect
from environments.models import (
    Branch,
    Database,
    DatabaseStatus,
    DatabaseSync,
    Environment,
    EnvironmentDatabase,
    Finding,
    MigrationRun,
    Rehearsal,
)
from portal.models.audit import AuditEvent
from tests.environments.schema.history.histories import repository, source
from tests.environments.schema.run.test_runner import tree
from tests.factory import make_people, make_project, make_rehearsal, make_release, make_run
from tests.reading import squeezed

pytestmark = pytest.mark.django_db
NOW = timezone.now()


@pytest.fixture
def project(tmp_path, settings):
    """main has a1 and b2; staging has c3 as well.

    Both databases are at the heads of their branches.
    """
    settings.VAR_DIR, settings.GITHUB_TOKEN = tmp_path, "a-token"
    project = make_project(alembic="alembic.ini")
    (tmp_path / "mirrors").mkdir()
    main = tree(source("a1"), source("b2", "a1"))
    mirror = repository(
        tmp_path / "mirrors" / f"{project.pk}.git", main, tree(*map(source, ["a1"])) | main | more()
    )
    for name, tag in (("main", "c0"), ("staging", "c1")):
        Branch.objects.filter(project=project, name=name).update(head=mirror.commit(tag))
    DatabaseSync.objects.create(project=project, wake_at=NOW + timedelta(days=1))
    at(project, "production", "b2")
    at(project, "staging", "c3")
    return project


def more() -> dict[str, str]:
    return {"db/versions/c3.py": source("c3", "b2")}


def at(project, kind: str, *revisions: str) -> None:
    """The database of that environment was read, and is there."""
    place = EnvironmentDatabase.objects.filter(environment__project=project, environment__kind=kind)
    place.update(revisions=list(revisions), revisions_at=NOW)


def look(project, now=NOW) -> dict[str, DatabaseStatus]:
    databases_status.read(project, now=now)
    detect.compare(project, now=now)
    return {
        row.environment.kind: row for row in DatabaseStatus.objects.select_related("environment")
    }


def findings() -> list[tuple[str, bool]]:
    return [
        (object_.sentence, object_.attestable)
        for object_ in Finding.objects.filter(kind="schema", closed_at=None)
    ]


def test_each_database_stands_beside_the_head_of_its_own_branch(project):
    at(project, "staging", "a1")

    found = look(project)

    assert {kind: row.state for kind, row in found.items()} == {
        "staging": "behind",
        "production": "level",
    }
    assert [one["id"] for one in found["staging"].between] == ["b2", "c3"]
    trail = DatabaseSync.objects.get(project=project).timeline[str(project.databases.get().pk)][
        "entries"
    ]
    assert [(one["id"], one["branches"]) for one in trail] == [
        ("c3", ["staging"]),
        ("b2", ["staging", "main"]),
        ("a1", ["staging", "main"]),
    ]
    assert findings() == []  # staging waits for somebody: that is its everyday state


def test_a_revision_that_no_branch_has_is_a_finding_until_it_is_gone(project):
    at(project, "production", "feed0000beef")
    look(project)
    [(message, attestable)] = findings()

    at(project, "production", "b2")
    look(project)

    assert (
        "production's database is at feed0000beef, which no file of main and staging has" in message
        and not attestable
    )
    assert findings() == []
    assert AuditEvent.objects.filter(action="finding.closed").count() == 1


def test_production_ahead_of_main_is_a_finding_unless_a_run_of_the_portal_brought_it_there(project):
    at(project, "production", "c3")
    look(project)
    [(message, _)] = findings()

    production = Environment.objects.get(project=project, kind="production")
    MigrationRun.objects.create(
        environment=production,
        database=project.databases.get(),
        commit="c" * 40,
        status="succeeded",
        after=["c3"],
    )
    look(project)

    assert (
        message
        == "production's database is ahead of main by 1 revision: c3, which staging has. "
        + "No portal run applied them."
    )
    assert findings() == []


def test_production_behind_main_is_given_the_time_of_a_deployment(project):
    at(project, "production", "a1")
    look(project)
    soon = findings()

    look(project, NOW + timedelta(minutes=project.deploy_minutes + 1))

    assert soon == []
    assert findings() == [
        (
            (
                "production's database is behind main by 1 revision: b2. They run with the next"
                " release."
            ),
            True,
        )
    ]


def test_rows_of_the_version_table_that_overlap_are_a_finding_with_what_mends_it(project):
    at(project, "production", "a1", "b2")

    look(project)

    [(message, _)] = findings()
    assert "holds a1 beside b2, which builds upon it" in message and "delete the row a1" in message


def test_a_preview_without_a_database_of_its_own_is_left_out(project):
    Environment.objects.create(project=project, name="pr-7", kind="preview", railway_id="p7")

    databases_status.read_previews(project, now=NOW)
    look(project)

    assert DatabaseStatus.objects.count() == 2


def test_the_page_shows_databases_heads_and_what_lies_between(client, project):
    people = make_people()
    at(project, "staging", "a1")
    look(project)
    drift = [{"how": "added", "type": "index", "name": "ix_by_hand", "lines": []}]
    make_rehearsal(make_release(project, by=people["alice"]), drift=drift)
    client.force_login(people["alice"])

    html = squeezed(client.get("/migrations/"))

    assert "staging&#x27;s database is behind staging by 2 revisions: b2 and c3." in html
    assert "production has an index ix_by_hand that no migration creates." in html
    assert "head of main" in html and "production’s database" in html


def test_the_page_takes_the_same_queries_for_one_project_and_for_many(client, project):
    people = make_people()
    client.force_login(people["alice"])
    look(project)
    counts = []
    for number in (0, 5):
        for extra in range(number):
            make_run(make_project(f"more-{extra}"))
        with CaptureQueriesContext(connection) as queries:
            client.get(f"/migrations/?project={project.slug}")
        counts.append(len(queries))

    assert counts[0] == counts[1]


def test_the_schema_is_compared_on_demand_by_those_who_may(client, project):
    people = make_people()
    production = Environment.objects.get(project=project, kind="production")
    look(project)

    for name in ("carol", "alice"):
        client.force_login(people[name])
        client.post(reverse("environments:schema-compare", args=[production.statuses.get().pk]))

    [row] = Rehearsal.objects.all()
    assert (row.requested_by, row.environment) == (people["alice"], production)
    assert row.commit == Branch.objects.get(project=project, name="main").head
    assert AuditEvent.objects.filter(action="rehearsal.requested", outcome="refused").count() == 1


def test_a_project_without_migrations_has_no_state(client):
    people = make_people()
    make_project("plain", alembic="")
    client.force_login(people["alice"])

    assert client.get("/migrations/").status_code == 200
    assert Database.objects.exclude(alembic="").count() == 0
