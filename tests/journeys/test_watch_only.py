"""A project that only watches, beside people who go on as they did before; then the switch."""

import pytest

from environments.github import GitHub
from environments.models import Project
from environments.models.watch_only import WithheldWrite
from portal.configuration.actions import confirm_change
from portal.models.configuration import ConfigurationChange
from releases.checklist import actions as checklist_actions
from releases.lifecycle import actions as lifecycle_actions
from releases.models.releases import ReleaseStatus
from releases.project_settings import watch_only
from releases.promotion import actions as promotion_actions
from tests.journeys.test_release import readiness, reread

pytestmark = pytest.mark.slow


def writes(world, since: tuple[int, int]) -> list[str]:
    """What GitHub and Railway were sent since then that was no question."""
    on_github = [
        f"{one.method} {one.path}"
        for one in world.github_server.requests[since[0] :]
        if one.method != "GET" and "graphql" not in one.path and "git-upload-pack" not in one.path
    ]
    on_railway = [
        one.body[:80] for one in world.railway_server.requests[since[1] :] if "mutation" in one.body
    ]
    return on_github + on_railway


def mark(world) -> tuple[int, int]:
    return len(world.github_server.requests), len(world.railway_server.requests)


def held_back(project) -> set[str]:
    return set(WithheldWrite.objects.filter(project=project).values_list("doing", flat=True))


def test_nothing_leaves_while_people_do_it_and_the_portal_goes_on_with_them(world, settings):
    project, alice, dave = world.project, world.person("alice"), world.person("dave")
    watch_only.watch_only(project, actor=dave)
    start = mark(world)
    by_hand = GitHub(project.repository, token=settings.GITHUB_TOKEN)
    world.work(lambda: project.branches.exclude(head="").count() == 2)
    world.work(lambda: project.environments.exclude(kind="preview").count() == 2)

    release = lifecycle_actions.cut(project, actor=alice)
    world.work(lambda: "open a pull request from staging into main" in held_back(project))
    world.work(lambda: reread(release).collected == release.candidate)
    run = lifecycle_actions.migrate_staging(reread(release), actor=alice)
    world.work(lambda: reread(run).sentence.startswith("Watch only"))
    assert writes(world, start) == []
    assert world.revisions("staging") != sorted(release.heads)

    by_hand.open_pull(head="staging", base="main", title="By hand", body="")
    world.work(lambda: reread(release).pull_number is not None)
    watch_only.start_sending(project, actor=dave)  # nothing was promoted yet: one person
    world.work(lambda: not reread(run).is_open)
    assert run.status == "succeeded", run.sentence
    for item in release.items.filter(phase="before", gate=""):
        checklist_actions.tick(item, actor=alice, note="read")
    world.work(lambda: readiness(release).ready)

    watch_only.watch_only(project, actor=dave)
    again = mark(world)
    promotion_actions.promote(release, actor=alice)
    merge = f"merge pull request #{reread(release).pull_number}"
    world.work(lambda: merge in held_back(project))
    assert writes(world, again) == []
    by_hand.set_status(
        release.candidate,
        context="release-portal",
        state="success",
        description="By hand",
        target_url="",
    )
    by_hand.merge(release.pull_number, sha=release.candidate, title="By hand")
    again = mark(world)
    world.work(lambda: any("upgrade production's database" in one for one in held_back(project)))
    assert writes(world, again) == []
    assert world.revisions("production") != sorted(release.heads)

    watch_only.start_sending(project, actor=dave)
    assert Project.objects.get(pk=project.pk).watch_only, "By now it takes two people."
    confirm_change(ConfigurationChange.objects.latest("pk"), actor=world.person("bob"))
    world.work(lambda: reread(release).status == ReleaseStatus.VERIFYING)
    assert world.revisions("production") == sorted(release.heads)
