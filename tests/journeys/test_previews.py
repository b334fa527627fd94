"""Preview environments from the opened pull request until they are gone, against the stand-ins."""

import pytest
from django.utils import timezone

from environments.models import Environment, MigrationRun, Preview, Project, VariableSync
from environments.previews import actions
from portal.sandbox.server import Fault
from portal.ui.actions import Refused
from releases.models.pull_requests import GitHubSync, PullRequest
from tests.faults import hosts
from tests.journeys.test_release import reread

pytestmark = pytest.mark.slow


@pytest.fixture
def previews(world, settings):
    """The world of a project that wants previews, once everything was read for the first time."""
    settings.PREVIEW_PAUSE_SECONDS = 0
    world.railway.set_knobs(cooldown=0)
    for pull in [one for one in world.github.state["pulls"] if one["state"] == "open"]:
        world.github.close_pull(pull["number"])
    world.work(lambda: VariableSync.objects.filter(sentence="Variables read.").exists())
    Project.objects.update(previews=True)
    return world


def push(world, branch: str, text: str = "one") -> str:
    return world.github.push_commit(branch, {f"frontend/{branch}.txt": text}, f"Work on {branch}")


def opened(world, branch: str = "feature-search", **how) -> int:
    if branch not in world.github.heads():
        world.github.git.move(f"refs/heads/{branch}", world.github.heads()["staging"])
    push(world, branch)
    return world.github.open_pull(branch, "staging", "Search", **how)


def environments_of(world) -> list[str]:
    rows = world.railway.world.data["environments"].values()
    return sorted(row["name"] for row in rows if not row.get("deletedAt") and row["isEphemeral"])


def comments_on(world, number: int) -> list[str]:
    return [row["body"] for row in world.github.state["comments"] if row["number"] == number]


def state_of(number: int) -> str:
    return Preview.objects.filter(number=number).values_list("state", flat=True).first() or ""


def test_an_opened_pull_request_gets_a_live_preview_and_one_comment(previews):
    number = opened(previews)

    previews.work(
        lambda: state_of(number) == "live" and Preview.objects.get().told.get("state") == "success"
    )

    preview, head = Preview.objects.get(), previews.github.heads()["feature-search"]
    assert environments_of(previews) == [f"pr-{number}"]
    for service in ("backend", "frontend"):
        assert previews.railway.latest(service, f"pr-{number}")["meta"]["commitHash"] == head
    [comment] = comments_on(previews, number)
    assert "is live" in comment and head[:7] in comment and preview.address in comment
    [deployment] = [
        row for row in previews.github.state["deployments"] if row["environment"] == f"pr-{number}"
    ]
    assert (deployment["sha"], deployment["transient"], deployment["production"]) == (
        head,
        True,
        False,
    )


def test_the_frontend_of_a_preview_speaks_to_its_own_backend_from_the_first_deployment(previews):
    own = previews.railway.address("backend", "staging")
    previews.railway.set_variable("staging", "frontend", "API_URL", f"{own}/api")

    number = opened(previews)
    previews.work(lambda: state_of(number) == "live")

    place = f"pr-{number}"
    running = previews.railway.running_variables("frontend", place)["API_URL"]
    assert previews.railway.address("backend", place).split("://")[
        -1
    ] in running and running.endswith("/api")
    deployments = previews.railway.world.data["deployments"].values()
    instance = previews.railway._instance("frontend", place)
    assert sum(deployment["instanceId"] == instance["id"] for deployment in deployments) == 1


def test_pushes_in_quick_succession_end_at_the_newest_commit(previews):
    previews.railway.freeze()
    number = opened(previews)
    previews.work(lambda: state_of(number) == "deploying")
    for text in ("two", "three", "four"):
        newest = push(previews, "feature-search", text)
    previews.railway.unfreeze()

    previews.work(lambda: Preview.objects.get().head == newest and state_of(number) == "live")

    assert previews.railway.latest("frontend", f"pr-{number}")["meta"]["commitHash"] == newest
    assert len(comments_on(previews, number)) == 1


@pytest.mark.parametrize("merged", [False, True])
def test_a_closed_pull_requests_preview_is_gone_and_the_comment_says_so(previews, merged):
    number = opened(previews)
    previews.work(lambda: state_of(number) == "live")

    previews.github.merge_pull(number) if merged else previews.github.close_pull(number)
    previews.work(lambda: not reread(Preview.objects.get()).is_open)

    assert environments_of(previews) == []
    [comment] = comments_on(previews, number)
    assert "was removed" in comment


def test_reopened_it_comes_back_with_the_same_comment(previews):
    number = opened(previews)
    previews.work(lambda: state_of(number) == "live")
    previews.github.close_pull(number)
    previews.work(lambda: not Preview.objects.get().is_open)

    row = next(one for one in previews.github.state["pulls"] if one["number"] == number)
    row |= {"state": "open", "closed_at": None}
    previews.work(lambda: state_of(number) == "live")

    assert environments_of(previews) == [f"pr-{number}"]
    assert len(comments_on(previews, number)) == 1


def test_a_creation_whose_answer_was_lost_is_found_and_not_repeated(previews):
    previews.railway.set_knobs(lose_answers=1)

    number = opened(previews)
    previews.work(lambda: state_of(number) == "live")

    assert environments_of(previews) == [f"pr-{number}"]


def test_no_write_of_a_preview_is_repeated_whose_answer_was_lost(previews, settings):
    """Each kind of write is done, and nobody is told so: as where the worker dies at it."""
    settings.SYNC_SECONDS = 30.0  # there is a minute to wait after each
    for field in ("environmentCreate", "AutoDeployUpdate", "DeployV2", "environmentDelete"):
        previews.railway_server.faults.append(Fault("drop", body=field))
    for method, path in (
        ("POST", "/comments"),
        ("PATCH", "/comments/"),
        ("POST", "/deployments"),
        ("POST", "/deployments/"),
    ):
        previews.github_server.faults.append(Fault("drop", method=method, path=path))

    number = opened(previews)
    previews.work(lambda: Preview.objects.filter(told__state="success").exists(), seconds=120)
    previews.github.close_pull(number)
    previews.work(lambda: Preview.objects.filter(status="succeeded").exists(), seconds=120)

    faults = [*previews.railway_server.faults, *previews.github_server.faults]
    assert [fault for fault in faults if fault.times] == []
    assert hosts.doubled(hosts.writes_of(previews)) == []
    assert environments_of(previews) == [] and len(comments_on(previews, number)) == 1


def test_railways_pause_between_two_environments_is_survived(previews):
    previews.railway.set_knobs(cooldown=2)

    numbers = [opened(previews, branch) for branch in ("one", "two")]
    previews.work(lambda: {state_of(number) for number in numbers} == {"live"})

    assert environments_of(previews) == sorted(f"pr-{number}" for number in numbers)


def test_services_that_appear_late_are_waited_for(previews):
    previews.railway.set_knobs(late=1)

    number = opened(previews)
    previews.work(lambda: state_of(number) == "live")

    assert {row["name"] for row in Preview.objects.get().services} == {"backend", "frontend"}


def test_what_happened_while_the_portal_was_down_is_caught_up_with(previews):
    gone, kept = opened(previews, "gone"), opened(previews, "kept")
    previews.work(lambda: {state_of(gone), state_of(kept)} == {"live"})

    previews.github.close_pull(gone)
    newest = push(previews, "kept", "later")
    fresh = opened(previews, "fresh")
    previews.work(lambda: state_of(gone) == "gone" and state_of(fresh) == "live")
    previews.work(
        lambda: Preview.objects.get(number=kept).head == newest and state_of(kept) == "live"
    )

    assert environments_of(previews) == sorted([f"pr-{kept}", f"pr-{fresh}"])


def test_a_sealed_variable_is_asked_for_before_anything_is_deployed(previews):
    previews.railway.set_variable("staging", "backend", "PAYMENT_SECRET", "s3cret", sealed=True)
    VariableSync.objects.update(wake_at=timezone.now())
    staging = Environment.objects.get(kind="staging")
    previews.work(lambda: staging.variables.filter(name="PAYMENT_SECRET", sealed=True).exists())
    number = opened(previews)
    previews.work(lambda: state_of(number) == "asking")
    asked = Preview.objects.get()

    actions.set_preview_variable(
        previews.project,
        actor=previews.person("alice"),
        service="backend",
        name="PAYMENT_SECRET",
        value="for-previews",
    )
    previews.work(lambda: state_of(number) == "live")

    assert asked.missing == ["backend: PAYMENT_SECRET"] and asked.deployed == {}
    assert (
        previews.railway.running_variables("backend", f"pr-{number}")["PAYMENT_SECRET"]
        == "for-previews"
    )


def test_an_environment_of_that_name_that_is_not_ours_is_never_touched(previews):
    number = max(one["number"] for one in previews.github.state["pulls"]) + 1
    previews.railway.add_environment(f"pr-{number}")

    assert opened(previews) == number
    previews.work(lambda: state_of(number) == "blocked")
    previews.github.close_pull(number)
    previews.work(lambda: state_of(number) == "gone")

    rows = previews.railway.world.data["environments"].values()
    assert [
        row["name"] for row in rows if row["name"] == f"pr-{number}" and not row.get("deletedAt")
    ]


def test_an_outsider_goes_only_by_a_persons_typed_word(previews):
    previews.railway.add_environment("pr-900")
    previews.work(lambda: Environment.objects.filter(name="pr-900", gone_at=None).exists())
    outsider, alice = Environment.objects.get(name="pr-900"), previews.person("alice")

    with pytest.raises(Refused, match="Type the name"):
        actions.delete_environment(outsider, actor=alice, typed="pr-9")
    repair = actions.delete_environment(outsider, actor=alice, typed="pr-900")
    previews.work(lambda: not reread(repair).is_open)

    assert repair.sentence == "pr-900 is gone from Railway."


def test_drafts_forks_and_one_too_many_get_none(previews):
    Project.objects.update(preview_limit=1)
    first, draft = opened(previews, "first"), opened(previews, "draft", draft=True)
    second = opened(previews, "second")

    previews.work(lambda: state_of(first) == "live")
    previews.work(lambda: PullRequest.objects.filter(number=second).exists())

    assert (state_of(draft), state_of(second)) == ("", "")
    previews.github.close_pull(first)
    previews.work(lambda: state_of(second) == "live")


def test_a_build_that_fails_is_said_on_the_pull_request_with_its_log(previews):
    previews.railway.freeze()
    number = opened(previews)
    previews.work(
        lambda: state_of(number) == "deploying" and len(Preview.objects.get().deployed) == 2
    )
    previews.railway.finish(previews.railway.latest("frontend", f"pr-{number}")["id"], "FAILED")
    previews.railway.unfreeze()

    previews.work(
        lambda: state_of(number) == "failed" and "failed" in "".join(comments_on(previews, number))
    )

    preview = Preview.objects.get()
    assert "frontend did not come up" in preview.sentence and preview.log
    actions.rebuild_preview(preview, actor=previews.person("alice"))
    previews.work(lambda: state_of(number) == "live")


def test_removed_by_a_person_it_stays_away_until_the_next_push(previews):
    number = opened(previews)
    previews.work(lambda: state_of(number) == "live")

    actions.remove_preview(Preview.objects.get(), actor=previews.person("alice"))
    previews.work(lambda: state_of(number) == "gone")
    GitHubSync.objects.update(wake_at=timezone.now())
    previews.work(lambda: GitHubSync.objects.filter(wake_at__gt=timezone.now()).exists())
    stayed = environments_of(previews)
    push(previews, "feature-search", "again")
    previews.work(lambda: state_of(number) == "live")

    assert stayed == []


def test_a_preview_that_uses_stagings_database_never_migrates_it(previews):
    Project.objects.update(preview_migrates=True)
    before = previews.revisions("staging")

    number = opened(previews)
    previews.work(lambda: state_of(number) == "failed")

    assert "uses staging's database" in Preview.objects.get().sentence
    assert previews.revisions("staging") == before and not MigrationRun.objects.exists()
