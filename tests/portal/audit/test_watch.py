"""The watch verifies what was added, anchors what is sound, and never anchors what is not."""

import pytest
from django.db import connection, transaction
from django.utils import timezone

from portal import audit
from portal.audit import verification
from portal.audit import watch as audit_watch
from portal.health import reports
from portal.jobs import AuditWatch, running
from portal.models import AuditEvent
from tests.chain import unguarded
from tests.faults.audit_chain import edited

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
    for host in ("first", "second", "first", "second", "second", "first"):
        of_a_worker(settings, monkeypatch, files[host], host)
        happen(3)
        assert look(watch).ok, (host, watch.sentence)

    assert AuditEvent.objects.filter(action="audit.anchors_begun").count() == 1
    for directory in files.values():
        settings.VAR_DIR = directory
        assert verification.verify().ok
        assert len(verification.read_anchors()) == 3
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
