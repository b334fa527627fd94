"""Pages of many rows: none is lost or shown twice while new ones arrive."""

import pytest
from django.contrib.auth.models import User
from django.test import RequestFactory

from portal.ui.paging import paged, with_neighbours

pytestmark = pytest.mark.django_db


def _page(query: str = "", size: int = 2):
    return paged(RequestFactory().get(f"/{query}"), User.objects.all(), size)


def test_pages_follow_each_other_while_new_rows_arrive():
    people = [User.objects.create(username=name) for name in "abcde"]
    first = _page("?role=x")

    User.objects.create(username="newcomer")
    second = _page(f"?role=x&before={first.older}")
    last = _page(f"?before={second.older}")

    assert [first.rows, second.rows, last.rows] == [
        [people[4], people[3]],
        [people[2], people[1]],
        [people[0]],
    ]
    assert (first.is_first, second.is_first, last.older) == (True, False, None)
    assert second.kept == "role=x"


@pytest.mark.parametrize("typed", ["", "x", "-1", "9" * 30, "%00"])
def test_what_is_no_number_asks_for_the_first_page(typed):
    person = User.objects.create(username="alice")

    page = _page(f"?before={typed}")

    assert page.rows == [person] and page.is_first


def test_the_neighbours_of_a_row_are_those_beside_it_within_the_same():
    ann, _eve, bob, zoe = (
        User.objects.create(username=name, last_name=family)
        for name, family in (("ann", "a"), ("eve", "b"), ("bob", "a"), ("zoe", "a"))
    )

    rows = {row.username: row for row in with_neighbours(User.objects.all(), within="last_name")}

    assert [
        (rows[name].older_pk, rows[name].newer_pk) for name in ("ann", "bob", "zoe", "eve")
    ] == [(None, bob.pk), (ann.pk, zoe.pk), (bob.pk, None), (None, None)]
