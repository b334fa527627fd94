"""The databases of a project in its configuration, and that a repository has one project."""

import pytest
from django.urls import reverse

from environments.drift import rules as drift_rules
from environments.models import Database, EnvironmentDatabase, Project
from releases.lifecycle import reconcile
from releases.models.pull_requests import PullRequest
from releases.models.releases import Release
from tests.factory import make_people, make_project, make_release
from tests.faults.denied_configuration import address, filled
from tests.journeys.world import quick_world
from tests.reading import squeezed

pytestmark = pytest.mark.django_db
NEW = {"name": "second", "slug": "second", "railway_project_id": "p"}


def send(client, row, **changed):
    path = address(row, "change")
    return client.post(path, {**filled(client.get(path)), **changed})


def with_second(**values) -> dict[str, str]:
    """What the form sends of one more database."""
    known = {
        "name": "billing",
        "alembic": "billing/alembic.ini",
        "position": "1",
        "version_table": "alembic_version",
        "runner": "portal",
        "service": "billing",
        "variable": "DATABASE_URL",
        "public_service": "",
        "public_variable": "DATABASE_PUBLIC_URL",
    }
    row = {f"databases-1-{name}": value for name, value in (known | values).items()}
    return row | {"databases-TOTAL_FORMS": "2"}


def test_a_second_project_on_a_repository_is_refused_in_any_case_of_letters(admin_client):
    make_project()
    path = reverse("admin:environments_project_add")

    answer = admin_client.post(
        path, {**filled(admin_client.get(path)), **NEW, "repository": "ACME/Inspector"}
    )

    assert answer.status_code == 200
    assert "Another project releases this repository already" in squeezed(answer)
    assert Project.objects.count() == 1


def test_projects_that_shared_a_repository_before_it_was_refused_are_told_so():
    project = make_project()
    Project.objects.create(
        name="older", slug="older", repository="Acme/Inspector", shares_repository=True
    )

    [found] = [
        problem
        for problem in drift_rules.problems(project, drift_rules.read_rows(project))
        if problem.subject.startswith("repository")
    ]

    assert "inspector and older release acme/inspector" in found.sentence and found.attestable


def test_another_database_has_what_is_in_preparation_read_again(admin_client):
    project = make_project()
    release = make_release(project, by=make_people()["alice"])
    PullRequest.objects.update(read_for="a..b")

    answer = send(admin_client, project, **with_second())

    assert answer.status_code == 302, answer.context["errors"]
    assert list(project.databases.values_list("name", flat=True)) == ["main", "billing"]
    assert Release.objects.get(pk=release.pk).collected == ""
    assert not PullRequest.objects.filter(state="open").exclude(read_for="").exists()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": "MAIN"}, "Two databases of a project need two names."),
        ({"runner": "command"}, "Enter the migration command."),
        (
            {"migration_command": "psql postgresql://u:secret@db/x"},
            "Put no password into a command",
        ),
    ],
)
def test_a_database_that_could_not_be_migrated_is_refused_with_its_reason(
    admin_client, values, message
):
    project = make_project()

    answer = send(admin_client, project, **with_second(**values))

    assert answer.status_code == 200 and message in squeezed(answer)
    assert Database.objects.count() == 1


def test_a_runner_on_railway_wants_deploying_first_whichever_of_both_is_changed(admin_client):
    project = make_project()
    railway = {"databases-0-runner": "verify"}

    both = send(admin_client, project, **railway, deploy_order="migrate_first")
    together = send(admin_client, project, **railway)
    later = send(admin_client, project, deploy_order="migrate_first")
    back = send(
        admin_client, project, **{"databases-0-runner": "portal"}, deploy_order="migrate_first"
    )

    assert [one.status_code for one in (both, together, later, back)] == [200, 302, 200, 302]
    assert "Railway migrates while it deploys" in squeezed(both)


@pytest.mark.parametrize(
    ("heads_of", "others", "again"),
    [
        ({}, 0, False),
        ({}, 1, True),
        ({"main": ["b"]}, 0, False),
        ({"main": ["b"]}, 1, True),
        ({"gone": ["b"]}, 0, True),
    ],
)
def test_a_release_that_was_read_for_other_databases_is_read_again(heads_of, others, again):
    project = make_project()
    keys = {"main": str(project.databases.get().pk), "gone": "0"}
    release = make_release(
        project, heads_of={keys[name]: heads for name, heads in heads_of.items()}
    )
    for number in range(others):
        Database.objects.create(project=project, name=f"more {number}", alembic="billing")

    assert reconcile._was_read_for_others(release) is again


@pytest.mark.slow
def test_a_runner_on_railway_is_refused_where_the_portal_could_not_look_at_the_result(
    tmp_path, settings, transactional_db, client
):
    with quick_world(tmp_path, settings, shape=["internal-only"]) as world:
        kinds = ["staging", "production"]
        world.work(lambda: world.project.environments.filter(kind__in=kinds).count() == 2)
        client.force_login(world.person("dave"))
        wanted = {
            "databases-0-runner": "railway",
            "databases-0-migration_command": "alembic upgrade head",
        }

        refused = send(client, world.project, **wanted)
        row = EnvironmentDatabase.objects.filter(environment__project=world.project)
        world.work(lambda: row.count() == 2)
        for place in row:
            place.url = "postgresql://looker@proxy.example.org/railway"
            place.save()
        taken = send(client, world.project, **wanted)

    message = squeezed(refused)
    assert "Railway would run the migrations, but the portal looks at the database" in message
    assert "Give the database a TCP proxy" in message and "run the portal inside" in message
    assert "give an address under Configuration, Environment databases" in message
    assert taken.status_code == 302, taken.context["errors"]
    assert world.project.databases.get().runner == "railway"
