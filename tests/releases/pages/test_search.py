"""Search: by a few letters to everything that has a page."""

import pytest
from django.test import Client

from releases.pages.search import find
from tests.factory import make_people, make_project, make_release, make_run

pytestmark = pytest.mark.django_db


@pytest.fixture
def release():
    people = make_people()
    return make_release(make_project(), by=people["alice"])


@pytest.mark.parametrize(
    ("typed", "kind"),
    [
        ("2026.11", "Release"),
        ("3f2a1c9", "Release"),
        ("backend", "Service"),
        ("inspec", "Project"),
        ("4d1a2b3c4d5e", "Migration"),
        ("audit", "Page"),
        ("#128", "Pull request"),
    ],
)
def test_a_few_letters_find_each_kind(release, typed, kind):
    make_run(release.project)

    assert kind in {one.kind for one in find(typed)}


def test_nothing_typed_lists_the_pages_and_odd_letters_find_nothing(release):
    assert {one.kind for one in find("")} == {"Page"}
    assert find("%_\\'") == []


def test_it_is_a_page_without_scripts_and_a_list_for_the_palette(release):
    client = Client()
    client.force_login(release.cut_by, backend="django.contrib.auth.backends.ModelBackend")

    page = client.get("/search/?q=2026%00.11").text
    part = client.get("/search/?q=2026.11", headers={"HX-Request": "true"}).text

    address = f"/releases/{release.pk}/"
    assert f'href="{address}"' in page and "<html" in page
    assert f'data-href="{address}"' in part and "<html" not in part


def test_nobody_finds_anything_without_a_role(release):
    assert Client().get("/search/?q=2026").status_code == 302
