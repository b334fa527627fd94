"""What people signed is what is merged and run, however the candidate moves."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from environments.databases import expected_sql
from environments.git.repository import Mirror
from environments.github import PullState
from environments.models import StagedRevision
from environments.schema.history.reader import read
from portal.models.audit import AuditEvent
from portal.ui.actions import Refused
from releases.approvals.actions import approve
from releases.checklist.actions import tick
from releases.github_mirror import sync
from releases.models.pull_requests import PullRequest
from releases.models.releases import Release
from releases.promotion.actions import promote
from tests.environments.schema.history.histories import repository, source
from tests.factory import CANDIDATE, make_people, make_project, make_release, make_run
from tests.faults.moving_candidate import play
from tests.faults.scene import world_of_its_own

MOVED = "9" * 40


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_nothing_unsigned_is_merged_or_run_while_the_candidate_moves(settings):
    with world_of_its_own(settings) as world:
        stage = play(world, times=2, seed=3)

    assert stage.wrong == []
    assert (
        stage.did["tick"] and stage.did["approve"]
    )  # whether one is merged within so few is chance


@pytest.fixture
def moved(db):
    """People who still have the old candidate on their page, and the release that has moved on."""
    people = make_people()
    release = make_release(make_project(), by=people["alice"], ready=True)
    Release.objects.filter(pk=release.pk).update(candidate=MOVED, collected=MOVED)
    return people, release


@pytest.mark.parametrize("sign", [tick, approve, promote])
def test_a_signature_from_an_old_page_is_refused(moved, sign):
    people, release = moved
    subject = release.items.filter(gate="").first() if sign is tick else release

    with pytest.raises(Refused, match="The candidate moved from 3f2a1c9 to 9999999"):
        sign(subject, actor=people["dave"], candidate=CANDIDATE)

    assert (
        AuditEvent.objects.filter(
            outcome="refused", sentence__startswith="The candidate moved"
        ).count()
        == 1
    )


def test_the_page_sends_the_candidate_it_shows(moved, client):
    people, release = moved
    item = release.items.filter(gate="", phase="before").first()
    client.force_login(people["dave"])
    page = client.get(reverse("releases:release", args=[release.pk])).content.decode()

    answer = client.post(
        reverse("releases:item-do", args=[item.pk, "tick"]),
        {"candidate": CANDIDATE},
        headers={"HX-Request": "true"},
    )

    assert f'name="candidate" value="{MOVED}"' in page
    assert "The candidate moved" in answer.content.decode()


def _files(tmp_path, *contents: str) -> Mirror:
    """A repository of which each commit, c0 and on, holds r0 and another content of r1."""
    first = {
        "alembic.ini": "[alembic]\nscript_location = db\n",
        "db/env.py": "",
        "db/versions/r0.py": source("r0"),
    }
    commits = [{"db/versions/r1.py": source("r1", "r0", body=content)} for content in contents]
    return repository(tmp_path / "git", first | commits[0], *commits[1:])


def _remember(run, mirror: Mirror, commit: str) -> str:
    """Has staging remember what `commit` holds; returns the hash of r1 there."""
    run.commit = mirror.commit(commit)
    history = read(mirror, commit, "alembic.ini")
    expected_sql.remember_staged(run, mirror, history, ["r1"])
    return history.revisions["r1"].sha256


@pytest.mark.django_db
def test_a_file_edited_after_staging_ran_it_is_not_proven_by_a_run_that_had_nothing_to_do(tmp_path):
    project, mirror = make_project(), _files(tmp_path, "pass", "return")
    first = make_run(project, planned=[{"id": "r0"}, {"id": "r1"}])
    StagedRevision.objects.all().delete()
    ran = _remember(first, mirror, "c0")
    idle = make_run(project, planned=[], status="failed")

    edited = _remember(idle, mirror, "c1")

    proven = dict(StagedRevision.objects.values_list("revision", "sha256"))
    assert proven["r1"] == ran != edited and set(proven) == {"r0", "r1"}


@pytest.mark.django_db
def test_a_file_that_is_run_anew_with_another_content_is_proven(tmp_path):
    project, mirror = make_project(), _files(tmp_path, "pass", "return")
    StagedRevision.objects.all().delete()
    for commit in ("c0", "c1"):
        run = make_run(project, planned=[{"id": "r1"}], status="failed")
        last = _remember(run, mirror, commit)

    assert StagedRevision.objects.filter(revision="r1", sha256=last).exists()


@pytest.mark.django_db
def test_reading_a_pull_request_by_itself_does_not_make_its_old_checks_look_new():
    project = make_project()
    release = make_release(project)
    old = timezone.now() - timedelta(hours=1)
    PullRequest.objects.filter(number=release.pull_number).update(seen_at=old)
    row = PullRequest.objects.get(number=release.pull_number)
    pull = PullState(
        number=row.number,
        state="open",
        merged=False,
        merge_commit=None,
        head_sha=row.head_sha,
        base_ref="main",
        head_ref="staging",
        mergeable=True,
        url="",
        title="Release",
    )

    sync.keep_pull(project, pull, now=timezone.now())

    row.refresh_from_db()
    assert (row.seen_at, row.title) == (old, "Release")
