"""Queries that are compiled once answer as those that are compiled each time."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.db import connection
from django.db.models import Count, QuerySet, Subquery
from pytest_django import DjangoAssertNumQueries

from portal.prepared_queries import prepared

BUILT: list[object] = []


@prepared
def members(group: int, name: str) -> QuerySet[User]:
    """Return the people of a group by their name, with what they are in."""
    BUILT.append((group, name))
    group_name = Group.objects.filter(pk=group).values("name")[:1]
    rows = User.objects.filter(groups=group, first_name=name).order_by("username")
    return rows.annotate(group_name=Subquery(group_name), count=Count("groups"))


@prepared
def permissions(app: str) -> QuerySet[Permission]:
    """Return an app's permissions with their kinds of rows."""
    rows = Permission.objects.filter(content_type__app_label=app)
    return rows.select_related("content_type").order_by("pk")


@prepared
def newest(prefix: str, *, limit: int) -> QuerySet[User]:
    """Return the newest people whose name begins so."""
    return User.objects.filter(username__startswith=prefix).order_by("-pk")[:limit]


@pytest.mark.django_db
def test_each_call_has_its_own_values_and_the_query_is_put_together_once() -> None:
    first, second = Group.objects.create(name="first"), Group.objects.create(name="second")
    for number, group in enumerate((first, first, second)):
        user = User.objects.create(username=f"u{number}", first_name="Ada")
        user.groups.add(group)
    BUILT.clear()

    found = [members(first.pk, "Ada"), members(second.pk, "Ada"), members(first.pk, "Bob")]

    assert [[user.username for user in users] for users in found] == [["u0", "u1"], ["u2"], []]
    assert [user.group_name for user in found[0]] == ["first", "first"]
    assert len(BUILT) == 1


@pytest.mark.django_db
def test_another_limit_is_another_query() -> None:
    for name in ("ada", "adam", "bob"):
        User.objects.create(username=name)

    found = [newest("ada", limit=1), newest("ada", limit=5), newest("b", limit=1)]

    assert [[user.username for user in users] for users in found] == [
        ["adam"],
        ["adam", "ada"],
        ["bob"],
    ]


@pytest.mark.django_db
def test_it_brings_along_what_the_queryset_selects(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    wanted = list(Permission.objects.filter(content_type__app_label="auth").order_by("pk"))

    with django_assert_num_queries(1):
        found = permissions("auth")
        apps = {one.content_type.app_label for one in found}

    assert found == wanted and apps == {"auth"}


@pytest.mark.django_db(transaction=True)
def test_each_thread_asks_on_its_own_connection() -> None:
    group = Group.objects.create(name="first")
    members(group.pk, "Ada")

    def elsewhere() -> object:
        try:
            return members(group.pk, "Ada"), id(connection.connection)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        found, other = pool.submit(elsewhere).result()

    assert found == [] and other != id(connection.connection)
