import threading
import uuid
from datetime import UTC, datetime

import psycopg
import pytest
from django.contrib.auth.models import AnonymousUser, Group, User
from django.db import DatabaseError, OperationalError, connection, transaction

from portal import audit
from portal.audit.verification import verify
from portal.models.audit import AuditEvent

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
    assert (event.position, event.actor_id, event.actor_name) == (
        position,
        alice.pk,
        "Alice Archer",
    )
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
        "UPDATE portal_auditchain SET body = replace(body, 'x', 'y')",
        "DELETE FROM portal_auditchain",
        "TRUNCATE portal_auditchain",
        "UPDATE portal_auditevent SET digest = digest",
        "DELETE FROM portal_auditevent",
        "UPDATE portal_audithead SET position = 7",
        "UPDATE portal_audithead SET position = position + 1",
        "DELETE FROM portal_audithead",
        "TRUNCATE portal_audithead",
        "SET LOCAL session_replication_role = replica; DELETE FROM portal_auditchain",
        "INSERT INTO portal_auditchain SELECT * FROM portal_auditchain",
        "INSERT INTO portal_auditchain (body) SELECT body || E'\\n' FROM portal_auditchain",
        (
            "INSERT INTO portal_auditchain (body) SELECT replace(body, E'\\ndone', E'\\nsplendid')"
            " FROM portal_auditchain"
        ),
        (
            "SELECT portal_audit_append(now(), E'a\\n', 'done', 1, '', '', '', '', '', '', '',"
            " gen_random_uuid())"
        ),
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


def test_without_the_right_to_record_the_action_is_refused_and_undone():
    with connection.cursor() as cursor:
        cursor.execute("CREATE ROLE mute; GRANT ALL ON ALL TABLES IN SCHEMA public TO mute")
        cursor.execute("GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO mute")

    with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL ROLE mute")
        Group.objects.create(name="Pirates")
        audit.record("group.made", actor=None)

    assert not Group.objects.filter(name="Pirates").exists()
    assert not AuditEvent.objects.exists()


@pytest.mark.slow
def test_when_the_head_stays_taken_the_action_is_refused_after_a_bounded_wait():
    with psycopg.connect(**connection_parameters()) as other:
        other.execute("SELECT * FROM portal_audithead FOR UPDATE")

        with pytest.raises(OperationalError, match="lock timeout"), transaction.atomic():
            Group.objects.create(name="Pirates")
            audit.record("group.made", actor=None)

    assert not Group.objects.filter(name="Pirates").exists()


def connection_parameters():
    wanted = ("host", "port", "user", "password", "dbname")
    return {
        name: value for name, value in connection.get_connection_params().items() if name in wanted
    }


@pytest.mark.django_db(transaction=True)
def test_what_many_write_at_once_is_one_chain_without_a_gap():
    def write():
        for _ in range(25):
            with transaction.atomic():
                audit.record("x", actor=None)
        connection.close()

    writers = [threading.Thread(target=write) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    verdict = verify(anchors=[])
    assert (verdict.ok, verdict.count) == (True, 100)


@pytest.mark.django_db(transaction=True)
def test_an_action_that_is_undone_leaves_no_event_and_no_gap():
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        audit.record("undone", actor=None)
        raise ZeroDivisionError
    with transaction.atomic():
        position = audit.record("done", actor=None)

    assert position == 1
    assert verify(anchors=[]).ok


def test_what_would_forge_a_log_line_is_shown_as_what_it_is():
    hostile = "ok\r\n2026 admin: fine \0\x1b[2J\u2028\u202e\ud800 ✓"

    audit.record("x", actor=None, sentence=hostile, data={"title": hostile})

    event = AuditEvent.objects.get()
    assert event.sentence == "ok  2026 admin: fine ⟨U+0000⟩⟨U+001B⟩[2J⟨U+2028⟩⟨U+202E⟩⟨U+D800⟩ ✓"
    assert event.data == {"title": hostile}
    assert verify(anchors=[]).ok


def test_what_is_too_long_is_shortened_not_refused():
    audit.record("x", actor=None, sentence="s" * 5000, data={"log": "é" * 50_000})

    event = AuditEvent.objects.get()
    assert len(event.sentence) == audit.SENTENCE_CHARS
    assert len(event.data_json) <= audit.DATA_CHARS
    assert event.data["trimmed_from_characters"] > 50_000


@pytest.mark.parametrize("data", [{"x": object()}, {"x": float("nan")}])
def test_what_json_cannot_say_is_refused(data):
    with pytest.raises((TypeError, ValueError)):
        audit.record("x", actor=None, data=data)


def test_an_unknown_outcome_is_refused():
    with pytest.raises(ValueError, match="perhaps"):
        audit.record("x", actor=None, outcome="perhaps")


def test_it_keeps_the_given_time_group_and_scope():
    noon, group = datetime(2026, 11, 22, 12, 0, 0, 123456, tzinfo=UTC), uuid.uuid4()

    audit.record("x", actor=AnonymousUser(), now=noon, group=group, scope="inspector")

    event = AuditEvent.objects.get()
    assert (event.at, event.group, event.scope) == (noon, group, "inspector")
    assert (event.actor_id, event.actor_name) == (None, "someone not signed in")


def test_a_timeline_is_of_its_subject_alone_and_newest_first(alice):
    for number in range(7):
        audit.record(f"x{number}", actor=None, subject=alice if number % 2 else None)

    assert [event.action for event in audit.timeline(alice)] == ["x5", "x3", "x1"]
    assert [event.action for event in audit.timeline(alice, limit=2)] == ["x5", "x3"]
