"""Anchors outside: pushed by git to the stand-in, read back, and missed when they are gone."""

import shutil
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone

from environments.git_mirrors import audit_anchors
from portal import audit
from portal.audit import anchors, verification
from portal.audit.anchors import Lost, anchors_path
from portal.jobs import AuditWatch, running
from portal.models.audit import AuditEvent
from portal.sandbox.server import Server
from tests.chain import fill, unguarded
from tests.factory import make_project
from tests.stand_in import github_with_the_sample

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def hub(tmp_path, settings):
    hub = github_with_the_sample(tmp_path / "github")
    server = Server(hub).start()
    settings.GITHUB_API_URL = settings.GITHUB_GIT_URL = hub.url = server.url
    settings.GITHUB_TOKEN, settings.VAR_DIR = "sandbox-github-token", tmp_path / "var"
    settings.AUDIT_REPOSITORY, settings.AUDIT_REF = (
        "acme/inspector",
        "refs/release-portal/audit/portal",
    )
    yield hub
    server.stop()
    hub.hooks.stop()


def happen(count: int) -> None:
    with transaction.atomic():
        for number in range(count):
            audit.record("test.happened", actor=None, sentence=f"number {number}")


def anchored(count: int, now: datetime) -> str:
    happen(count)
    verification.anchor(now)
    return audit_anchors.write(now)


def test_anchors_are_pushed_commit_by_commit_and_read_back(hub, settings):
    before = hub.heads()

    message = [anchored(3, NOON), anchored(2, NOON + timedelta(hours=2))]

    found = audit_anchors.read()
    assert found.anchors == anchors.read_anchors() and not found.missing
    assert message == [f"Anchored in {settings.AUDIT_REF} of acme/inspector."] * 2
    assert hub.heads() == before  # no branch, so no deployment
    assert hub.git.text("rev-list", "--count", settings.AUDIT_REF).strip() == "2"


def test_it_pushes_at_most_once_an_hour_and_then_all_that_came(hub):
    message = [anchored(1, NOON + timedelta(minutes=minutes)) for minutes in (0, 20, 40, 80)]

    assert [bool(one) for one in message] == [True, False, False, True]
    assert len(audit_anchors.read().anchors) == 4


def test_a_removed_file_and_an_end_cut_off_come_to_light_through_the_ref(hub):
    anchored(5, NOON)
    anchors_path().unlink()

    assert verification.verify(outside=True).sentence.startswith("The anchors are gone")
    with unguarded(connection):
        fill(connection, 3)
    assert not verification.verify(outside=True).ok


def test_a_file_whose_end_was_cut_off_is_noticed(hub):
    anchored(2, NOON)
    anchored(2, NOON + timedelta(hours=2))
    anchors_path().write_bytes(anchors_path().read_bytes().splitlines(keepends=True)[0])

    verdict = verification.verify(outside=True)

    assert not verdict.ok and "is cut off" in verdict.sentence


@pytest.mark.parametrize(
    "change", [("update-ref", "-d", "{ref}"), ("update-ref", "{ref}", "{ref}~1")]
)
def test_a_ref_that_is_gone_or_was_set_back_is_noticed(hub, settings, change):
    anchored(2, NOON)
    anchored(2, NOON + timedelta(hours=2))
    hub.git.text(*(one.format(ref=settings.AUDIT_REF) for one in change))

    assert "are gone or were set back" in verification.verify(outside=True).sentence
    with pytest.raises(Lost):
        anchored(1, NOON + timedelta(hours=4))


def test_github_that_does_not_answer_proves_nothing_and_stops_no_anchor(hub, settings):
    anchored(2, NOON)
    settings.GITHUB_GIT_URL = "http://127.0.0.1:9"

    assert anchored(1, NOON + timedelta(hours=2)).startswith("Not anchored on GitHub: ")
    assert "could not be read" in verification.verify(outside=True).sentence
    assert verification.verify().ok


def test_a_first_project_names_the_repository_and_without_any_there_is_none(hub, settings):
    settings.AUDIT_REPOSITORY = ""
    assert anchored(1, NOON) == "" and audit_anchors.read().where == ""

    project = make_project()
    type(project).objects.filter(pk=project.pk).update(repository="acme/inspector")

    assert anchored(1, NOON) and audit_anchors.read().anchors


@pytest.mark.django_db(transaction=True)
def test_the_watch_leaves_them_there_and_says_when_they_are_gone(hub, settings, capsys):
    watch = AuditWatch.objects.create()
    happen(2)

    running.wake("portal.AuditWatch", watch.pk)
    watch.refresh_from_db()
    assert watch.ok and "refs/release-portal" in watch.sentence
    call_command("verify_audit")

    hub.git.text("update-ref", "-d", settings.AUDIT_REF)
    AuditWatch.objects.update(wake_at=timezone.now())
    running.wake("portal.AuditWatch", watch.pk)
    watch.refresh_from_db()
    assert not watch.ok and "gone" in watch.sentence
    with pytest.raises(SystemExit):
        call_command("verify_audit")
    call_command("verify_audit", "--offline")


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_lost_its_disk_reads_the_anchors_back_and_says_so(hub, settings):
    watch = AuditWatch.objects.create()
    happen(2)
    running.wake("portal.AuditWatch", watch.pk)
    kept = anchors.read_anchors()
    shutil.rmtree(settings.VAR_DIR / "audit-refs")
    anchors_path().unlink()

    AuditWatch.objects.update(wake_at=timezone.now())
    running.wake("portal.AuditWatch", watch.pk)

    watch.refresh_from_db()
    assert watch.ok, watch.sentence
    assert anchors.read_anchors()[: len(kept)] == kept
    assert AuditEvent.objects.filter(action="audit.anchors_restored").count() == 1
