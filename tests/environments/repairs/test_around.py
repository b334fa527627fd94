"""What reached production's branch around the portal is deployed by no single person's click."""

from datetime import timedelta

import pytest
from django.utils import timezone

from environments.findings import out_of_band
from environments.findings.actions import resolve_finding
from environments.models import Branch, Finding, Repair, ServiceInstance
from environments.repairs.actions import deploy_head
from portal.ui.actions import Refused
from tests.factory import make_people, make_project

pytestmark = pytest.mark.django_db
PUSHED = "e" * 40


@pytest.fixture
def people():
    return make_people()


@pytest.fixture
def backend(people):
    """Production's backend, while somebody has pushed straight to main."""
    project = make_project()
    now = timezone.now()
    pushed = {"head": PUSHED, "judged": PUSHED, "head_at": now - timedelta(minutes=5)}
    Branch.objects.filter(project=project, name="main").update(**pushed)
    out_of_band.note(project, f"push of {PUSHED} to main", "It was pushed to main.", now=now)
    ServiceInstance.objects.filter(environment__project=project).update(
        repository=project.repository
    )
    return ServiceInstance.objects.get(service__name="backend", environment__kind="production")


def deploy(backend, person):
    return deploy_head(backend, actor=person, commit=PUSHED)


def test_it_waits_for_two_people(backend, people):
    with pytest.raises(Refused, match="around the portal"):
        deploy(backend, people["alice"])

    resolve_finding(Finding.objects.get(kind="bypass"), actor=people["alice"], reason="It is fine.")
    with pytest.raises(Refused, match="somebody else"):
        deploy(backend, people["alice"])
    assert not Repair.objects.exists()

    assert deploy(backend, people["dave"]).wanted == PUSHED


def test_what_nobody_has_looked_at_yet_waits(backend, people):
    Finding.objects.all().delete()
    Branch.objects.filter(name="main").update(judged="d" * 40)

    with pytest.raises(Refused, match="is being looked at"):
        deploy(backend, people["alice"])


def test_what_the_portal_merged_since_is_deployed_by_one(backend, people):
    resolve_finding(Finding.objects.get(kind="bypass"), actor=people["alice"], reason="It is fine.")
    later = timezone.now() + timedelta(minutes=1)
    Branch.objects.filter(name="main").update(head_at=later)

    assert deploy(backend, people["alice"]).wanted == PUSHED


def test_staging_is_not_held_to_it(backend, people):
    head = Branch.objects.get(name="staging").head
    staging = ServiceInstance.objects.get(service__name="backend", environment__kind="staging")

    assert deploy_head(staging, actor=people["alice"], commit=head).wanted == head
