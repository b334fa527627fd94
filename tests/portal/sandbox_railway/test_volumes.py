"""A backup of the database's volume before a risky run: asked for once, waited for, or named why
not.
"""

from datetime import timedelta

import pytest
from django.utils import timezone

from environments.databases import backup, volume_backup
from environments.models import (
    Environment,
    EnvironmentDatabase,
    MigrationRun,
    Service,
    ServiceInstance,
)
from portal.jobs import Requeue
from portal.sandbox.server import Fault
from tests.environments.databases.test_backup import queued
from tests.portal.sandbox_railway.conftest import TOKEN

pytestmark = pytest.mark.django_db
NOWHERE = "postgresql://nobody@127.0.0.1:9/none"


@pytest.fixture
def run(railway, settings, tmp_path):
    """A risky run of production, whose database's service lies on the stand-in."""
    settings.RAILWAY_API_TOKEN = TOKEN
    settings.RAILWAY_API_URL = f"{railway.server.url}/graphql/v2"
    settings.VAR_DIR = tmp_path
    railway.standin.add_service("Postgres", image="postgres", public=False)
    run = queued('TRUNCATE "events"')
    ids = railway.ids("production", "Postgres")
    Environment.objects.filter(pk=run.environment_id).update(railway_id=ids["environmentId"])
    service, _ = Service.objects.update_or_create(
        project=run.environment.project, name="Postgres", defaults={"railway_id": ids["serviceId"]}
    )
    ServiceInstance.objects.get_or_create(environment=run.environment, service=service)
    EnvironmentDatabase.objects.filter(environment=run.environment).update(url="")
    return MigrationRun.objects.select_related("environment__project", "database").get(pk=run.pk)


def look(run, now=None):
    fresh = MigrationRun.objects.select_related("environment__project", "database").get(pk=run.pk)
    return volume_backup.take(fresh, now=now or timezone.now())


def test_the_volume_is_backed_up_once_and_the_run_says_how_to_restore(railway, run):
    railway.standin.add_volume("Postgres", "production")
    railway.standin.add_volume("Postgres", "staging")
    lines: list[str] = []

    first, second = look(run), look(run)
    railway.settle()
    run.refresh_from_db()
    ended = backup.before(
        run, "postgresql://nobody@127.0.0.1:9/none", tell=lines.extend, alive=bool
    )

    assert isinstance(first, Requeue) and isinstance(second, Requeue) and ended is None
    [made] = railway.standin.backups()
    assert made["name"] == f"release portal, run {run.pk}" and run.backup["backup"] == made["id"]
    assert made["environmentId"] == railway.ids("production", "Postgres")["environmentId"]
    assert "Railway took a backup of the volume of Postgres in production" in lines[0]
    assert "Backups" in lines[1] and "Restore" in lines[1] and "is gone" in lines[1]


def test_an_answer_that_was_lost_leaves_one_backup(railway, run):
    railway.standin.add_volume("Postgres", "production")
    railway.server.faults.append(Fault("drop", method="POST", body="volumeInstanceBackupCreate"))

    lost = look(run)
    railway.settle()
    found = look(run)

    assert isinstance(lost, Requeue)
    assert len(railway.standin.backups()) == 1 and found["backup"]


@pytest.mark.parametrize(
    ("volume", "error", "why"),
    [(False, None, ""), (True, "The plan has no backups", "The plan has no backups.")],
)
def test_where_railway_takes_none_the_reason_is_told_and_the_database_is_dumped(
    railway, run, volume, error, why
):
    if volume:
        railway.standin.add_volume("Postgres", "production", backup_error=error)
        assert isinstance(look(run), Requeue)
        railway.settle()

    assert look(run) == why


def test_a_backup_that_never_comes_is_not_waited_for_for_ever(railway, run):
    railway.standin.add_volume("Postgres", "production")
    look(run)

    found = look(run, timezone.now() + timedelta(minutes=11))

    assert found == "it was not there after 10 minutes."
