import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction

from portal import audit
from portal.audit import view_check
from portal.audit.verification import Anchor, BrokenChain, anchor, read_anchors, verify
from portal.jobs import AuditWatch
from portal.models.audit import AuditEvent
from tests.chain import fill, unguarded
from tests.faults import audit_chain

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def var(settings, tmp_path):
    settings.VAR_DIR = tmp_path
    return tmp_path


@pytest.fixture
def events(db):
    return [
        audit.record(f"event.{number}", actor=None, sentence="Ünïcode ✓", data={"n": number})
        for number in range(5)
    ]


def record_one():
    with transaction.atomic():
        audit.record("one.event", actor=None)


def tamper(statement):
    with unguarded(connection), connection.cursor() as cursor:
        cursor.execute(statement)


def test_it_proves_what_postgresql_hashed(events):
    verdict = verify()

    assert (verdict.ok, verdict.count, verdict.first_broken) == (True, 5, None)
    assert verdict.head_digest == bytes(AuditEvent.objects.get(position=5).digest).hex()


def test_an_empty_chain_is_whole(db):
    assert verify().ok


def test_python_and_postgresql_agree_on_the_bytes_of_a_chain_written_by_hand(db):
    fill(connection, 50)
    audit.record("after.it", actor=None)

    assert verify().count == 51


@pytest.mark.slow
def test_every_attack_on_a_small_chain_is_found_and_named(db):
    missed = audit_chain.main(events=60, report=lambda line: None)

    assert missed == 0


def test_it_names_the_first_broken_event_in_one_sentence(events):
    tamper(audit_chain.edited("sentence", "position >= 3"))

    verdict = verify()

    assert (verdict.first_broken, verdict.count) == (3, 2)
    assert (
        verdict.sentence
        == "Event 3 is not what was written at this place: it was edited, moved or put in."
    )


def test_a_new_installation_without_any_anchor_is_whole(events):
    assert verify().ok


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.write_bytes(b"")])
def test_anchors_that_are_gone_are_no_proof_and_nothing_is_anchored_over_it(events, var, spoil):
    anchor(NOON)
    AuditWatch.objects.create(at=NOON, ok=True)
    spoil(var / "audit-anchors.jsonl")

    verdict = verify()

    assert not verdict.ok
    assert verdict.sentence.startswith("The anchors are gone: ")
    with pytest.raises(BrokenChain, match="The anchors are gone"):
        anchor(NOON)


def test_a_person_begins_a_new_file_with_a_reason_that_the_trail_keeps(events, var):
    anchor(NOON)
    AuditWatch.objects.create(at=NOON, ok=True)
    with unguarded(connection):
        fill(connection, 3)  # an older state was restored

    call_command("anchor_audit", "--anew", "backup of Monday restored")

    assert verify().ok and [one.position for one in read_anchors()] == [4]
    assert len(list(var.glob("audit-anchors-until-*"))) == 1
    assert (
        "backup of Monday restored" in AuditEvent.objects.get(action="audit.anchored_anew").sentence
    )


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("thing", ["DATABASE", "ROLE"])
def test_a_search_path_set_for_the_database_or_the_role_changes_nothing_for_the_portal(thing):
    name = connection.settings_dict["NAME" if thing == "DATABASE" else "USER"]
    record_one()
    with connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA shadow")
        cursor.execute(
            "CREATE VIEW shadow.portal_auditevent AS SELECT * FROM portal_auditevent WHERE false"
        )
        cursor.execute(f'ALTER {thing} "{name}" SET search_path = shadow, public')
    try:
        connection.close()  # the next one meets what was set

        assert AuditEvent.objects.count() == verify().count == 1
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f'ALTER {thing} "{name}" RESET search_path')
            cursor.execute("DROP SCHEMA shadow CASCADE")


def test_verification_leaves_the_session_as_it_was(events):
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL search_path = public, pg_catalog")
        verify()
        cursor.execute("SHOW search_path")

        assert cursor.fetchone()[0] == "public, pg_catalog"


def test_what_pages_show_of_every_event_is_compared_when_all_is_asked_for(events):
    anchor(NOON)

    assert view_check.chosen(0, 0, 5) == [1, 2, 3, 4, 5]
    assert view_check.chosen(0, 3_000, 3_002) == [*range(1, 3_001, 3), 3_001, 3_002]
    assert verify(full=True).ok


def test_an_anchor_shows_that_the_end_was_cut_off(events):
    anchor(NOON)
    tamper("DELETE FROM portal_auditchain WHERE position = 5")
    tamper(
        "UPDATE portal_audithead SET (position, digest) ="
        " (SELECT position, digest FROM portal_auditchain WHERE position = 4)"
    )

    assert verify(anchors=[]).ok
    assert verify().first_broken == 5


def test_each_anchor_is_one_line_that_survives_the_next(events, var):
    first = anchor(NOON)
    second = anchor(NOON + timedelta(minutes=5))

    assert read_anchors() == [first, second]
    assert (
        json.loads((var / "audit-anchors.jsonl").read_text().splitlines()[0])["at"]
        == NOON.isoformat()
    )


@pytest.mark.parametrize(
    "line", ["", "{", "[]", "null", '{"position":1}', '{"position":"1","digest":"00","at":""}']
)
def test_a_damaged_anchor_file_is_never_taken_for_a_proof(events, var, line):
    anchor(NOON)
    with (var / "audit-anchors.jsonl").open("a") as file:
        file.write(f"{line}\n")

    verdict = verify()

    assert not verdict.ok
    assert "Line 2 of" in verdict.sentence


def test_it_goes_on_from_a_checkpoint(events):
    before = verify().checkpoint
    audit.record("one.more", actor=None)

    verdict = verify(since=before)

    assert (verdict.ok, verdict.count) == (True, 1)


def test_a_checkpoint_shows_that_history_before_it_was_replaced(events):
    before = verify().checkpoint
    with unguarded(connection):
        fill(connection, 8)

    verdict = verify(since=before)

    assert not verdict.ok


def test_a_checkpoint_beyond_the_end_shows_that_it_was_cut_off(events):
    before = verify().checkpoint
    fill(connection, 3)

    verdict = verify(since=before)

    assert (verdict.ok, verdict.first_broken) == (False, 4)


def test_an_anchor_from_another_database_never_fits(events):
    assert verify(anchors=[Anchor(3, "ab" * 32, "then")]).first_broken == 1


def test_a_seal_covers_every_byte_since_the_last_anchor(events):
    anchor(NOON)
    audit.record("one.more", actor=None)
    second = anchor(NOON)

    assert (second.after, second.position) == (5, 6)
    assert verify().ok


@pytest.mark.parametrize("line", ["sentence", "data", "actor_name"])
@pytest.mark.parametrize("position", [1, 5, 6, 8])
def test_within_and_between_seals_the_edited_event_is_named(events, line, position):
    anchor(NOON)
    for _ in range(2):
        audit.record("more", actor=None)
        anchor(NOON)
    audit.record("not.sealed", actor=None)
    tamper(audit_chain.edited(line, f"position = {position}"))

    assert verify().first_broken == verify(full=True).first_broken == position


def test_a_seal_that_was_forged_is_not_taken_for_a_proof(events):
    noted = anchor(NOON)

    verdict = verify(anchors=[replace(noted, content="00" * 32, digest="00" * 32)])

    assert not verdict.ok


def test_an_anchor_without_a_seal_inside_a_sealed_stretch_counts_too(events):
    inside = Anchor(3, bytes(AuditEvent.objects.get(position=3).digest).hex(), "then")
    noted = anchor(NOON)

    assert verify(anchors=[noted, inside]).ok
    assert not verify(anchors=[noted, replace(inside, digest="00" * 32)]).ok


def test_it_does_not_anchor_a_broken_chain(events):
    anchor(NOON)
    audit.record("one.more", actor=None)
    tamper(audit_chain.edited("sentence", "position = 6"))

    with pytest.raises(BrokenChain, match="Event 6 is not what was written"):
        anchor(NOON)

    assert len(read_anchors()) == 1


def test_it_does_not_anchor_a_chain_whose_end_was_cut_off(events):
    anchor(NOON)
    fill(connection, 3)

    with pytest.raises(BrokenChain):
        anchor(NOON)


def test_progress_reaches_the_end(events):
    seen = []

    verify(progress=lambda done, total: seen.append((done, total)))

    assert seen[-1] == (5, 5)


def test_the_command_says_so_and_exits_with_one_when_it_is_broken(events, capsys):
    call_command("verify_audit")
    tamper("DELETE FROM portal_auditchain WHERE position = 2")

    with pytest.raises(SystemExit) as exit:
        call_command("verify_audit", "--json")

    whole, broken = capsys.readouterr().out.splitlines()
    assert whole.startswith("Every event is as it was written (5 checked).")
    assert exit.value.code == 1
    assert json.loads(broken)["first_broken"] == 2


def test_the_command_anchors_the_head(events, capsys):
    call_command("anchor_audit")

    assert read_anchors()[0].position == 5


def test_a_read_that_fails_leaves_the_connection_usable(events):
    with pytest.raises(DatabaseError), transaction.atomic():
        tamper("ALTER TABLE portal_auditchain RENAME COLUMN body TO text; SELECT 1/0")

    assert verify().ok
