"""Bad days around a rollback, a hotfix and sources that do not answer."""

from typing import TYPE_CHECKING

from django.conf import settings

from portal.sandbox.server import Fault
from tests.faults.days.stories import NOTHING, REVERT, day, later, promote, rolled_back

if TYPE_CHECKING:
    from releases.models.releases import Release
    from tests.journeys.world import World


def _hotfix(world: "World", files: dict[str, str], title: str) -> "Release":
    """A hotfix of a branch off main, read."""
    from releases.lifecycle import actions
    from tests.journeys.test_release import reread

    git = world.github.git
    with world.github.change():
        git.move("refs/heads/hot", git.heads()["main"], None)
    commit = world.github.push_commit("hot", files, title)
    world.github.set_check(commit, "python-ci")
    number = world.github.open_pull("hot", "main", title)
    world.work(lambda: world.project.pull_requests.filter(number=number, head_sha=commit).exists())
    release = actions.cut_hotfix(world.project, actor=world.person("alice"), pull=number)
    world.work(lambda: reread(release).collected == release.candidate)
    return release


@day(
    "a hotfix after a rollback",
    "Show what ships again",
    REVERT,
    must=("ships again", "rolled back"),
)
def hotfix_after_rollback(world: "World") -> "Release":
    """The hotfix branches off main, which holds the rolled-back release."""
    rolled_back(world)
    return _hotfix(world, {"frontend/hot.txt": "hot"}, "Fix the button")


@day("a rollback waits for a second person", "Review rollback", must=("second",))
def rollback_waits(world: "World") -> "Release":
    """Alice asked, nobody has approved."""
    from tests.journeys.test_release import reread
    from tests.journeys.test_rollback import ask, ship

    release = ship(world)
    job = ask(world, release)
    world.work(lambda: "approval" in reread(job).sentence)
    return release


@day("a rollback stopped", "Retry", must=("rollback",))
def rollback_stopped(world: "World") -> "Release":
    """Railway refuses to restore."""
    from tests.journeys.test_release import reread
    from tests.journeys.test_rollback import ask, ship, sign

    release = ship(world)
    job = ask(world, release)
    fault = Fault("graphql", body="deploymentRollback", message="Not Authorized")
    world.railway_server.faults.append(fault)
    sign(world, job)
    world.work(lambda: not reread(job).is_open)
    return release


@day("the revert is open", "Review revert", "Review revert", must=("rolled back",))
def revert_open(world: "World") -> "Release":
    """GitHub opened the pull request that takes the release back."""
    from environments.models import Repair
    from releases.models.pull_requests import PullRequest
    from releases.rollback import actions
    from tests.journeys.test_release import reread

    release = rolled_back(world)
    job = actions.open_revert(release, actor=world.person("alice"))
    world.work(lambda: not reread(job).is_open)
    assert Repair.objects.get(pk=job.pk).status == "succeeded", job.sentence
    world.work(lambda: PullRequest.objects.filter(head__startswith="revert-").exists())
    return release


@day("a superseded release", NOTHING, must=("Superseded by",))
def superseded(world: "World") -> "Release":
    """Another release was shipped after it."""
    from tests.journeys.test_release import cut, end, make_ready, push, reread
    from tests.journeys.test_release import promote as shipped

    first = shipped(world)
    end(world, first)
    push(world, {"frontend/next.txt": "next"})
    second = cut(world)
    make_ready(world, second)
    promote(world, second)
    world.work(lambda: reread(second).status == "verifying")
    return first


@day("an abandoned release", NOTHING, "Create release", must=("abandoned",))
def abandoned(world: "World") -> "Release":
    """Given up before its promotion."""
    from releases.lifecycle import actions
    from tests.journeys.test_release import prepare

    release = prepare(world)
    actions.abandon(release, actor=world.person("alice"), reason="another way")
    return release


@day("an abandoned promotion", "Show the freeze", must=("Promotions are frozen",))
def abandoned_promotion(world: "World") -> "Release":
    """Frozen, stopped at the merge, given up: the release is in preparation again."""
    from releases.promotion import actions
    from tests.faults.days.merging import frozen

    release = frozen(world)
    actions.abandon_promotion(release, actor=world.person("alice"), reason="after the freeze")
    return release


@day("Railway is down", "Open Connections", settled=False)
def railway_down(world: "World") -> "Release":
    """Every request to Railway fails."""
    from tests.journeys.test_release import prepare, reread

    release = prepare(world)
    world.railway_server.faults.append(Fault("status", times=10**6, status=503))
    world.work(lambda: bool(reread(world.project.railway_sync).problem))
    later(world, 3)
    return release


@day("the Railway token has expired", "Open Connections", settled=False, must=())
def token_expired(world: "World") -> "Release":
    """Railway refuses the token while a release is prepared."""
    from tests.journeys.test_release import prepare, reread

    release = prepare(world)
    kept = settings.RAILWAY_API_TOKEN
    settings.RAILWAY_API_TOKEN = "expired"
    try:
        world.work(lambda: bool(reread(world.project.railway_sync).problem))
    finally:
        settings.RAILWAY_API_TOKEN = kept
    later(world, 3)
    return release


@day("the worker is dead while the world moves", "Open Status", settled=False)
def worker_dead(world: "World") -> "Release":
    """Nobody reads anything for an hour; meanwhile production was deployed anew."""
    from tests.journeys.test_release import head, prepare

    release = prepare(world)
    world.railway.deploy("backend", "production", head(world, "staging"), live=True)
    later(world, 60)
    return release


@day("a finished release, later rules", NOTHING, NOTHING, must=())
def later_rules(world: "World") -> "Release":
    """The project asks for more than when the release was done."""
    from tests.journeys.test_release import end
    from tests.journeys.test_release import promote as shipped

    release = shipped(world)
    end(world, release)
    world.project.required_approvals = 2
    world.project.soak_minutes = 90
    world.project.save()
    return release
