"""After a transactional test the next one finds what `migrate` leaves, whatever was written."""

import pytest
from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import connection, transaction

from portal import audit
from portal.models.audit import AuditEvent
from tests.emptying import MADE

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def made() -> None:
    """`post_migrate` has filled the tables once."""
    emptied()


def emptied() -> None:
    call_command("flush", verbosity=0, interactive=False)


def filled() -> set[str]:
    """The tables that hold anything."""
    tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
    found = set[str]()
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"SELECT EXISTS (SELECT FROM {table})")  # noqa: S608
            found |= {table} if cursor.fetchone()[0] else set()
    return found


@transaction.atomic
def recorded() -> int:
    return audit.record("x", actor=None)


def granted() -> set[tuple[str, str]]:
    return set(Group.objects.values_list("name", "permissions__codename"))


def test_what_was_written_is_gone_and_the_chain_begins_anew():
    kept = ContentType.objects.get(app_label="auth", model="user").pk
    User.objects.create_user("gina").groups.add(Group.objects.first())
    first = recorded()
    assert AuditEvent.objects.count() == 1

    emptied()

    assert filled() == {*MADE, "portal_audithead"}
    assert ContentType.objects.get(app_label="auth", model="user").pk == kept
    assert recorded() == first == 1


def test_roles_that_were_changed_are_made_again():
    before = granted()
    Group.objects.create(name="more")
    Group.objects.exclude(name="more").first().permissions.clear()
    assert granted() != before

    emptied()

    assert granted() == before and filled() == {*MADE, "portal_audithead"}
