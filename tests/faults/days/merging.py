"""Bad days before and at the merge."""

from typing import TYPE_CHECKING

from portal.sandbox.server import Fault
from tests.faults.days.stories import NOTHING, day, promote

if TYPE_CHECKING:
    from releases.models.releases import Release
    from tests.journeys.world import World


@day("the candidate moves in mid-promotion", "Cancel promotion", must=("moved",))
def candidate_moves(world: "World") -> "Release":
    """Somebody pushes to staging between the click and the merge."""
    from tests.journeys.test_release import prepare, stopped_step

    release = prepare(world)
    promote(world, release)
    world.github.push_commit("staging", {"frontend/late.txt": "late"}, "Too late")
    assert stopped_step(world, release).name == "merge"
    return release


@day("the candidate moves after ticks and approvals", "Next open item")
def ticks_lapse(world: "World") -> "Release":
    """What people signed lapses with a push."""
    from tests.journeys.test_release import prepare, push, reread

    world.project.required_approvals = 1
    world.project.save()
    release = prepare(world)
    push(world, {"frontend/more.txt": "more"})
    world.work(lambda: reread(release).collected == release.candidate and bool(release.moved))
    return release


@day("a freeze in mid-promotion", "Retry", must=("Black Friday", "frozen"))
def frozen(world: "World") -> "Release":
    """Alice freezes promotions between the click and the merge."""
    from releases.freezes import actions as freezes
    from tests.journeys.test_release import prepare, stopped_step

    release = prepare(world)
    promote(world, release)
    freezes.freeze(world.project, actor=world.person("alice"), reason="Black Friday")
    assert stopped_step(world, release).name == "merge"
    return release


@day("an approval no longer counts", "Next open item", must=("approv",))
def approval_revoked(world: "World") -> "Release":
    """Bob, who approved, is an approver no more."""
    from tests.journeys.test_release import prepare

    world.project.required_approvals = 1
    world.project.save()
    release = prepare(world)
    world.person("bob").groups.clear()
    return release


@day("the merge conflicts", "Open #", must=("conflict",))
def conflict(world: "World") -> "Release":
    """Main and the candidate change the same file."""
    from tests.journeys.test_release import cut

    world.github.push_commit("staging", {"frontend/same.txt": "ours"}, "Ours")
    release = cut(world)
    world.github.push_commit("main", {"frontend/same.txt": "theirs"}, "Theirs")
    return release


@day("the pull request was closed by hand", "Open #", must=("closed",))
def closed(world: "World") -> "Release":
    """Somebody closes the promotion pull request."""
    from tests.journeys.test_release import prepare

    release = prepare(world)
    world.github.close_pull(release.pull_number)
    return release


@day("the pull request was merged around the portal", "Open #", must=("merged",))
def merged_around(world: "World") -> "Release":
    """An administrator merges on GitHub."""
    from tests.journeys.test_release import prepare

    release = prepare(world)
    world.github.merge_pull(release.pull_number)
    return release


@day("a check of the candidate fails", "Open #", must=("Not green",))
def check_fails(world: "World") -> "Release":
    """CI turns red after the release was prepared."""
    from tests.journeys.test_release import prepare

    release = prepare(world)
    world.github.set_check(release.candidate, "python-ci", conclusion="failure")
    return release


@day("the answer to the merge is lost", "Next open item")
def answer_lost(world: "World") -> "Release":
    """GitHub merges and hangs up without an answer."""
    from tests.journeys.test_release import prepare, reread

    release = prepare(world)
    world.github_server.faults.append(Fault("drop", method="PUT", path="/merge"))
    promote(world, release)
    world.work(lambda: reread(release).status == "verifying")
    return release


@day("the protection of main was changed", "Promote to production")
def protection_changed(world: "World") -> "Release":
    """Somebody takes the protection of main away."""
    from tests.journeys.test_release import prepare

    release = prepare(world)
    with world.github.change():
        world.github.state["protections"].pop("main", None)
    return release


@day("two people promote at once", "Next open item")
def two_at_once(world: "World") -> "Release":
    """The second click is refused, one promotion goes on."""
    from portal.ui.actions import Refused
    from releases.promotion import actions
    from tests.journeys.test_release import prepare, reread

    release = prepare(world)
    promote(world, release)
    try:
        actions.promote(release, actor=world.person("alice"))
    except Refused:
        world.work(lambda: reread(release).status == "verifying")
        return release
    raise AssertionError("the second promotion was not refused")


@day("nothing differs but history", NOTHING, NOTHING, must=("same files", "nothing to release"))
def same_files(world: "World") -> None:
    """A commit and its revert on staging: no content to release."""
    git = world.github.git
    tree = git.commit(git.heads()["main"]).tree
    by = world.github.person("maria")
    with world.github.change():
        staging = git.heads()["staging"]
        made = git.commit_tree(tree, [staging], "Take all of it back\n", by, by)
        git.move("refs/heads/staging", made, staging)


@day("a release is being read", NOTHING, settled=False, never=("brings no migrations",))
def being_read(world: "World") -> "Release":
    """The release was just created; nothing of it is known."""
    from releases.lifecycle import actions

    world.work(lambda: world.project.branches.exclude(head="").count() == 2)
    world.work(lambda: world.project.environments.count() >= 2)
    return actions.cut(world.project, actor=world.person("alice"))
