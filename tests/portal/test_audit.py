import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, connection, transaction

from portal import audit
from portal.models import AuditEvent

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice():
    return User.objects.create_user("alice", first_name="Alice", last_name="Archer")


def test_it_writes_an_event_with_one_query(alice, django_assert_num_queries):
    with django_assert_num_queries(1):
        position = audit.record(
            "user.greeted", actor=alice, subject=alice, sentence="Hello.", data={"b": 1, "a": None}
        )

    event = AuditEvent.objects.get()
    assert (event.position, event.actor_id, event.actor_name) == (position, alice.pk, "Alice Archer")
    assert (event.subject_kind, event.subject_id, event.subject_label) == (
        "auth.user",
        str(alice.pk),
        "alice",
    )
    assert (event.data_json, event.data) == ('{"a":null,"b":1}', {"b": 1, "a": None})


def test_positions_run_from_one_without_a_gap():
    positions = [audit.record("x", actor=None) for _ in range(3)]

    assert positions == [1, 2, 3]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE portal_auditevent SET sentence = 'other'",
        "DELETE FROM portal_auditevent",
        "TRUNCATE portal_auditevent",
        "UPDATE portal_audithead SET position = 7",
        "UPDATE portal_audithead SET position = position + 1",
        "DELETE FROM portal_audithead",
        "TRUNCATE portal_audithead",
        "SET LOCAL session_replication_role = replica; DELETE FROM portal_auditevent",
        "INSERT INTO portal_auditevent SELECT * FROM portal_auditevent",
    ],
)
def test_postgresql_refuses_to_change_what_was_written(statement):
    audit.record("x", actor=None)

    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


def test_the_model_refuses_to_save_or_delete():
    audit.record("x", actor=None)
    event = AuditEvent.objects.get()

    with pytest.raises(TypeError):
        event.save()
    with pytest.raises(TypeError):
        event.delete()


@pytest.mark.django_db(transaction=True)
def test_it_refuses_to_run_outside_a_transaction():
    with pytest.raises(audit.OutsideTransaction):
        audit.record("x", actor=None)


@pytest.mark.django_db(transaction=True)
def test_the_chain_starts_anew_after_a_transactional_test():
    with transaction.atomic():
        assert audit.record("x", actor=None) == 1
