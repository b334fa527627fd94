"""The status `release-portal` by anybody but the portal is a finding, and never taken for the
portal's word.
"""

import pytest

from environments.models import Finding
from portal.models.audit import AuditEvent
from portal.sandbox.github import checks
from portal.sandbox.github.state import Viewer
from releases.commit_status import identity
from releases.promotion import actions
from tests.journeys.test_release import cut, prepare, reread

pytestmark = pytest.mark.slow
CONTEXT = "release-portal"


def posts(world, who: str, sha: str, state: str) -> None:
    with world.github.change(Viewer(who)) as viewer:
        checks.add_status(
            world.github, viewer, sha, context=CONTEXT, state=state, description="Release is ready."
        )


def last_word(world, sha: str) -> tuple[str, str]:
    rows = [
        row
        for row in world.github.state["statuses"]
        if (row["sha"], row["context"]) == (sha, CONTEXT)
    ]
    return rows[-1]["user"], rows[-1]["state"]


def test_a_green_status_by_somebody_else_is_overruled_and_found(world):
    release = cut(world)
    world.work(lambda: reread(release.reconciler).verdict_state == "pending")
    us, _ = last_word(world, release.candidate)

    posts(world, "mallory", release.candidate, "success")
    world.work(lambda: Finding.objects.filter(subject__contains="mallory").exists())

    assert us != "mallory" and last_word(world, release.candidate) == (us, "pending")
    found = Finding.objects.get(subject__contains="mallory")
    assert "mallory posted release-portal as success" in found.sentence and found.kind == "bypass"
    assert AuditEvent.objects.filter(action="finding.opened", sentence=found.sentence).exists()
    assert reread(release.reconciler).verdict_by == us


def test_the_merge_waits_for_the_portals_own_word(world):
    release = prepare(world)
    world.work(lambda: reread(release.reconciler).verdict_state == "success")
    us, _ = last_word(world, release.candidate)
    github = identity.GitHub(world.project.repository)
    assert identity.own(github, release).creator == us

    posts(world, "mallory", release.candidate, "success")
    assert identity.own(github, release) is None
    actions.promote(release, actor=world.person("alice"))
    world.work(lambda: reread(release).status == "verifying")

    assert last_word(world, release.candidate) == (us, "success")
    assert Finding.objects.filter(subject__contains="mallory").count() == 1


def test_a_check_run_of_the_portals_name_is_found(world):
    release = cut(world)
    world.work(lambda: reread(release.reconciler).verdict_state == "pending")

    world.github.set_check(release.candidate, CONTEXT)
    world.work(
        lambda: Finding.objects.filter(subject__startswith="check run release-portal").exists()
    )

    assert last_word(world, release.candidate)[1] == "pending"
