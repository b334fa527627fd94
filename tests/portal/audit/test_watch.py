"""The watch verifies what was added, anchors what is sound, and never anchors what is not."""

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.utils import timezone

from portal import audit
from portal.audit import verification
from portal.audit import watch as audit_watch
from portal.health import checks, reports
from portal.jobs import AuditWatch, running
from portal.models.audit import AuditEvent
from tests.chain import unguarded
from tests.faults.audit_chain import edited, rewrite

FILE = "audit-anchors.jsonl"
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def watch(settings, tmp_path):
    settings.VAR_DIR = tmp_path
    return AuditWatch.objects.create()


def happen(count: int) -> None:
    for number in range(count):
        with transaction.atomic():
            audit.record("test.happened", actor=None, sentence=f"number {number}")


def look(watch: AuditWatch) -> AuditWatch:
    AuditWatch.objects.filter(pk=watch.pk).update(wake_at=timezone.now())
    running.wake("portal.AuditWatch", watch.pk)
    watch.refresh_from_db()
    return watch


def test_it_anchors_a_sound_chain_and_says_so(watch):
    happen(3)

    look(watch)

    assert (watch.ok, watch.position) == (True, 3)
    assert audit_watch.last_known() == watch
    assert verification.read_anchors()[-1].position == 3


def test_it_finds_what_was_changed_since_and_does_not_anchor_it(watch):
    happen(3)
    look(watch)
    happen(3)
    with unguarded(connection), connection.cursor() as cursor:
        cursor.execute(edited("sentence", "position = 5"))

    look(watch)

    assert (watch.ok, watch.position) == (False, 5)
    assert verification.read_anchors()[-1].position == 3
    assert watch.is_open  # it looks again, for ever


def of_a_worker(settings, monkeypatch, directory, host):
    """The process is now one of the worker on `host`, whose files lie in `directory`."""
    settings.VAR_DIR = directory
    monkeypatch.setattr("socket.gethostname", lambda: host)
    reports.report("worker")


def test_workers_of_two_hosts_each_keep_anchors_of_their_own(
    watch, settings, monkeypatch, tmp_path
):
    """The second host's file is not "gone", nor is either "cut off" by what the other anchored."""
    files = {host: tmp_path / host for host in ("first", "second")}
    for number, host in enumerate(("first", "second", "first", "second", "second", "first")):
        of_a_worker(settings, monkeypatch, files[host], host)
        happen(3)
        if number == 1:  # the second begins, and somebody has compared it with the first
            assert not look(watch).ok
            call_command("anchor_audit", accept="compared with the first worker's anchors")
        else:
            assert look(watch).ok, (host, watch.sentence)

    assert AuditEvent.objects.filter(action="audit.anchors_begun").count() == 1
    for directory in files.values():
        settings.VAR_DIR = directory
        assert verification.verify().ok
        assert len(verification.read_anchors()) == 3 + (directory == files["second"])
    both = [a for one in files.values() for a in verification.read_anchors(one / FILE)]
    assert verification.verify(anchors=both).ok


def test_a_host_that_lost_its_anchors_and_knows_it_says_so(watch, settings, monkeypatch, tmp_path):
    of_a_worker(settings, monkeypatch, tmp_path / "second", "second")
    of_a_worker(settings, monkeypatch, tmp_path / "first", "first")
    happen(3)
    assert look(watch).ok
    (tmp_path / "first" / FILE).unlink()

    assert not look(watch).ok and "The anchors are gone" in watch.sentence


def test_a_single_host_that_lost_its_disk_says_so(watch, tmp_path):
    happen(3)
    look(watch)
    for file in tmp_path.iterdir():
        file.unlink()

    assert not look(watch).ok and "The anchors are gone" in watch.sentence


def rewritten_by_who_wiped_the_disk(watch, settings, monkeypatch, tmp_path):
    """Whoever may write the database changes an event under the anchors, wipes the worker's disk,
    and has another worker reported: the file of anchors begins anew.
    """
    of_a_worker(settings, monkeypatch, tmp_path / "other", "other")
    of_a_worker(settings, monkeypatch, tmp_path / "only", "only")
    happen(9)
    assert look(watch).ok
    with transaction.atomic(), unguarded(connection):
        rewrite(4)
    for file in (tmp_path / "only").iterdir():
        file.unlink()


def test_a_rewritten_chain_is_not_intact_because_a_worker_began_its_own_anchors(
    watch, settings, monkeypatch, tmp_path
):
    rewritten_by_who_wiped_the_disk(watch, settings, monkeypatch, tmp_path)

    for _ in range(3):  # however often it looks
        look(watch)
        assert not watch.ok and "10 events before are held by no anchor" in watch.sentence
        [told] = checks.audit_chain(timezone.now())
        assert told.state == checks.FAILING and "held by no anchor" in told.sentence
        with pytest.raises(SystemExit):
            call_command("verify_audit", offline=True)
    happen(3)
    look(watch)
    assert verification.read_anchors()[-1].position == 13, "What comes is anchored all the same."


def test_only_a_person_at_that_machine_accepts_it_and_the_trail_says_why(
    watch, settings, monkeypatch, tmp_path
):
    rewritten_by_who_wiped_the_disk(watch, settings, monkeypatch, tmp_path)
    look(watch)
    AuditWatch.objects.update(ok=True)  # which the database's owner can write, and is not asked

    assert not verification.verify().ok
    call_command("anchor_audit", accept="the disk was replaced")

    assert look(watch).ok and verification.verify().ok
    event = AuditEvent.objects.get(action="audit.anchors_accepted")
    assert "“the disk was replaced”" in event.sentence
    with pytest.raises(CommandError, match="Nothing has to be accepted"):
        call_command("anchor_audit", accept="again")


def test_verification_says_since_when_anything_is_anchored(watch):
    happen(3)
    look(watch)

    message = verification.verify().sentence

    year = timezone.now().year
    assert (
        f"Every event is as it was written (3 checked). Anchored since event 3, {year}-" in message
    )
