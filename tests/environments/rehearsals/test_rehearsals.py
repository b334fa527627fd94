"""What a rehearsal's job makes of a database that cannot be asked."""

from datetime import timedelta

import pytest
from django.utils import timezone

from environments.models import Environment, Rehearsal
from environments.rehearsals.steps import step
from portal.jobs import JobStatus, Requeue
from tests.environments.schema.history.histories import repository, source
from tests.environments.schema.run.test_runner import tree
from tests.factory import make_project

pytestmark = pytest.mark.django_db
NOWHERE = "postgresql://somebody:canary-1234@127.0.0.1:1/nowhere"


@pytest.fixture
def job(tmp_path, settings):
    """A rehearsal of a real commit for a database where nobody listens."""
    settings.VAR_DIR, settings.GITHUB_TOKEN = tmp_path, "a-token"
    project = make_project(alembic="alembic.ini")
    (tmp_path / "mirrors").mkdir()
    mirror = repository(tmp_path / "mirrors" / f"{project.pk}.git", tree(source("aaaa00000001")))
    environment = Environment.objects.get(project=project, kind="production")
    environment.databases.update(url=NOWHERE)
    made = Rehearsal.objects.create(
        environment=environment, database=project.databases.get(), commit=mirror.commit("main")
    )
    return Rehearsal.objects.get(pk=made.pk)  # as a worker reads it


def test_a_database_that_does_not_answer_is_asked_again_and_then_a_person(job):
    now = timezone.now()

    soon, late = step(job, now=now), step(job, now=now + timedelta(minutes=11))

    assert isinstance(soon, Requeue) and soon.seconds > 0
    assert late.status == JobStatus.NEEDS_PERSON and "cannot be reached" in late.sentence
    assert "canary" not in soon.sentence + late.sentence


def test_an_earlier_rehearsal_is_waited_for(job):
    lease = timezone.now() + timedelta(minutes=1)
    later = Rehearsal.objects.create(
        environment=job.environment, database=job.database, commit="b" * 40
    )
    Rehearsal.objects.filter(pk=job.pk).update(status="running", lease_until=lease)

    outcome = step(later, now=timezone.now())

    assert isinstance(outcome, Requeue) and f"rehearsal {job.pk}" in outcome.sentence


def test_one_that_was_cancelled_does_nothing(job):
    Rehearsal.objects.filter(pk=job.pk).update(cancel_requested_at=timezone.now())

    assert step(job, now=timezone.now()).status == JobStatus.CANCELLED
