"""Sixty services in twelve environments, and names as long as anybody writes them."""

import pytest
from django.urls import reverse
from django.utils import timezone

from environments.models import Environment, Service, ServiceInstance
from environments.railway import Environment as Place
from environments.railway import ProjectTree
from environments.railway import Service as Named
from environments.railway_mirror import sync
from tests.factory import make_people, make_project, make_release
from tests.portal.audit_page.test_pages import signed_in
from tests.reading import squeezed

pytestmark = pytest.mark.django_db
PAGES = (
    "releases:board",
    "environments:environments",
    "environments:variables",
    "environments:previews",
    "environments:migrations",
    "releases:pulls",
    "environments:connections",
    "releases:releases",
)


def add_previews(project, count: int) -> None:
    now = timezone.now()
    for number in range(count):
        place = Environment.objects.create(
            project=project,
            name=f"pr-{number}",
            kind="preview",
            railway_id=f"p{number}",
            seen_at=now,
        )
        for service in Service.objects.filter(project=project):
            ServiceInstance.objects.create(
                service=service, environment=place, railway_id=f"{number}-{service.pk}", seen_at=now
            )


@pytest.mark.parametrize(("count", "apart"), [(2, False), (10, True)])
def test_many_previews_have_a_table_of_their_own(count, apart):
    project = make_project()
    add_previews(project, count)

    html = squeezed(signed_in(make_people()["carol"]).get(reverse("environments:environments")))

    assert (f"{count} previews" in html) == apart
    assert html.count("<table") == (2 if apart else 1) and html.count("pr-1<span") == 1
    assert html.count('<th scope="row">backend') == (2 if apart else 1)


def test_names_of_two_hundred_characters_break_no_page():
    long = {"backend": "b" * 200, "frontend": "<f" + "ü" * 198}
    project = make_project(services=tuple(long))
    release = make_release(project, by=make_people()["alice"])
    for short, name in long.items():
        Service.objects.filter(name=short).update(name=name)
    for kind in ("staging", "production"):
        Environment.objects.filter(kind=kind).update(name=kind + "e" * (200 - len(kind)))
    client = signed_in(make_people()["dave"])

    answers = {name: client.get(reverse(name)).status_code for name in PAGES}
    page = client.get(reverse("releases:release", args=[release.pk]))

    assert set(answers.values()) == {200} and page.status_code == 200
    assert "<fü" not in squeezed(page)


def test_what_railway_calls_longer_than_a_column_is_cut_and_read():
    project, now = make_project(), timezone.now()
    place = Place("e-long", "n" * 500, True, False, None, None)
    tree = ProjectTree("p", "inspector", None, (Named("s-long", "s" * 500),), (place,), True, ())

    sync.apply(project, tree, now=now)

    assert len(Environment.objects.get(railway_id="e-long").name) == 200
    assert len(Service.objects.get(railway_id="s-long").name) == 200
