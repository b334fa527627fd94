"""A service is said to be behind its branch only by what was read after it was deployed."""

from datetime import timedelta

import pytest
from django.utils import timezone

from environments.drift import rules
from environments.models import Branch, Deployment
from tests.factory import make_project

pytestmark = pytest.mark.django_db
OTHER = "d" * 40


def behind(project) -> list[str]:
    return [
        one.sentence
        for one in rules.problems(project, rules.read_rows(project))
        if one.kind == "behind"
    ]


@pytest.fixture
def project():
    """Production serves what its branch, as it was read, does not hold."""
    project, now = make_project(), timezone.now()
    Branch.objects.update(head_at=now - timedelta(hours=1), seen_at=now - timedelta(minutes=1))
    Deployment.objects.filter(instance__environment__kind="production").update(
        commit=OTHER, created_at=now - timedelta(minutes=30)
    )
    return project


def test_what_was_deployed_before_the_branch_was_read_is_behind(project):
    assert len(behind(project)) == 2


def test_what_was_deployed_since_the_branch_was_read_is_not_accused(project):
    Deployment.objects.update(created_at=timezone.now())

    assert behind(project) == []
