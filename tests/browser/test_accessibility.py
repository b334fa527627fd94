"""A few pages under axe-core; `tests.faults.accessibility` looks at all of them."""

import pytest

from environments.models import SmokeTest
from releases.models.checklist import ChecklistTemplate
from tests.browser.axe import sentences, violations
from tests.factory import make_people, make_project, make_promotion, make_release, make_run

pytestmark = pytest.mark.django_db(transaction=True)
WAYS = (("wide", "dark"), ("phone", "light"))


@pytest.fixture
def people(transactional_db):
    return make_people()


def test_the_pages_that_people_use_most_hold_nobody_up(open_as, people):
    release = make_release(make_project(), by=people["alice"])
    make_run(release.project)
    make_promotion(release, by=people["alice"], at="deploy", failed=True)
    page = open_as(people["alice"])

    found = []
    for path in ("/", f"/releases/{release.pk}/", "/environments/", "/audit/"):
        found += sentences(path, violations(page, path, WAYS))

    assert found == []


def test_the_forms_of_the_admin_hold_nobody_up(open_as, people):
    project = make_project()
    SmokeTest.objects.create(project=project, service="backend", path="/health")
    template = ChecklistTemplate.objects.filter(items__isnull=False).first()
    page = open_as(people["dave"])

    found = []
    for path in (
        f"/admin/releases/checklisttemplate/{template.pk}/change/",
        f"/admin/environments/project/{project.pk}/change/",
    ):
        found += sentences(path, violations(page, path, WAYS[:1]))

    assert found == []
