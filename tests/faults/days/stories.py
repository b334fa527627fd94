"""The first bad days: each drives portal and stand-ins into it, as the worker and people would.

A day names what a person should press first on the release's page and on the board: `NOTHING`
where there is nothing to do but to wait or to read.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from django.utils import timezone

from portal.sandbox.server import Fault

if TYPE_CHECKING:
    from releases.models.releases import Release
    from tests.journeys.world import World

Story = Callable[["World"], "Release | None"]
NOTHING = "nothing"
REVERT = "Open revert pull request"


@dataclass(frozen=True)
class Day:
    """One bad day."""

    name: str
    story: Story
    first: str  # the first right act on the release's page, or `NOTHING`
    board: str  # and on the board
    must: tuple[str, ...] = ()  # words that the release's page, or else the board, must hold
    settled: bool = True  # whether the portal can read everything before the pages are looked at
    never: tuple[str, ...] = field(default=())  # words that no page may hold


DAYS: list[Day] = []


def day(
    name: str, first: str, board: str = "Open release", **more: object
) -> Callable[[Story], Story]:
    """Register a bad day."""

    def register(story: Story) -> Story:
        DAYS.append(Day(name, story, first, board, **more))  # type: ignore[arg-type]
        return story

    return register


def later(world: "World", minutes: int) -> None:
    """Let time pass in which nobody works, until what was read is old."""
    assert world.clock is not None
    world.clock.reach(timezone.now() + timedelta(minutes=minutes))


def promote(world: "World", release: "Release") -> None:
    """Alice promotes what is ready."""
    from releases.promotion import actions

    actions.promote(release, actor=world.person("alice"))


@day("a build fails in production", "Redeploy", must=("failed", "exited with status 1"))
def build_fails(world: "World") -> "Release":
    """The frontend's build of the merge commit fails."""
    from tests.journeys.test_release import prepare, stopped_step

    release = prepare(world)
    world.railway.fail_next("frontend", "production")
    promote(world, release)
    assert stopped_step(world, release).name == "deploy"
    return release


@day("a migration fails in production", "Retry", must=("failed",))
def migration_fails(world: "World") -> "Release":
    """Production's database cannot be reached when the migration is due."""
    from tests.journeys.test_release import prepare, reread, stopped_step

    release = prepare(world)
    promote(world, release)
    world.work(lambda: bool(reread(release).merge_commit))
    world.railway.set_variable(
        "production", "backend", "DATABASE_URL", "postgresql://nobody:x@127.0.0.1:1/x"
    )
    assert stopped_step(world, release).name == "migrate"
    return release


@day("the release was rolled back", REVERT, REVERT, must=("rolled back",))
def rolled_back(world: "World") -> "Release":
    """Both services go back to what ran before."""
    from tests.journeys.test_release import reread
    from tests.journeys.test_rollback import ask, ship, sign

    release = ship(world)
    job = ask(world, release)
    sign(world, job)
    world.work(lambda: not reread(job).is_open)
    assert job.status == "succeeded", job.sentence
    return release


@day("the branches have diverged", NOTHING, "Create release", must=("diverged",))
def diverged(world: "World") -> None:
    """Somebody pushed to main what staging does not have."""
    world.github.push_commit("main", {"frontend/hot.txt": "hot"}, "Straight to main")


@day("the merge is refused for a missing review", "Review", must=("review",))
def merge_refused(world: "World") -> "Release":
    """Main asks for a review that nobody gave."""
    from tests.journeys.test_release import prepare

    release = prepare(world)
    world.github.protect("main", checks=("python-ci",), approvals=1)
    return release


@day("GitHub is down", "Open Connections", settled=False)
def github_down(world: "World") -> "Release":
    """Every request to GitHub fails while a release is prepared."""
    from releases.models.pull_requests import GitHubSync
    from tests.journeys.test_release import prepare, reread

    release = prepare(world)
    world.github_server.faults.append(Fault("status", times=10**6, status=503))
    sync = GitHubSync.objects.get()
    world.work(lambda: bool(reread(sync).problem))
    later(world, 3)
    return release
