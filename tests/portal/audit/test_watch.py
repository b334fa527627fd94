"""The watch verifies what was added, anchors what is sound, and never anchors what is not."""

import pytest
from django.db import connection, transaction
from django.utils import timezone

from portal import audit
from portal.audit import verification
from portal.audit import watch as audit_watch
from portal.jobs import AuditWatch, running
from tests.chain import unguarded
from tests.faults.audit_chain import edited

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
