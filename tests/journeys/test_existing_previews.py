"""Environments of pull requests that Railway or a team's GitHub Action made: shown, left alone,
or adopted.
"""

import pytest

from environments.models import Environment, Preview, Project, RailwaySync, VariableSync
from environments.previews import actions, adoption
from portal.models.audit import AuditEvent
from portal.ui.actions import NotPermitted, Refused

pytestmark = pytest.mark.slow
BRANCH = "feature-search"


@pytest.fixture
def world(world, settings):
    """A project that wants previews, read once, without open pull requests."""
    settings.PREVIEW_PAUSE_SECONDS = 0
    world.railway.set_knobs(cooldown=0)
    for pull in [one for one in world.github.state["pulls"] if one["state"] == "open"]:
        world.github.close_pull(pull["number"])
    world.work(lambda: VariableSync.objects.filter(sentence="Variables read.").exists())
    Project.objects.update(previews=True)
    world.github.git.move(f"refs/heads/{BRANCH}", world.github.heads()["staging"])
    world.github.push_commit(BRANCH, {"frontend/search.txt": "one"}, "Search")
    return world


def rows(world, name: str) -> list[dict]:
    found = world.railway.world.data["environments"].values()
    return [row for row in found if row["name"] == name and not row.get("deletedAt")]


def next_number(world) -> int:
    return max(one["number"] for one in world.github.state["pulls"]) + 1


def outsider(name: str) -> adoption.Outsider:
    found = adoption.outsiders(Project.objects.get())
    return next(one for one in found if one.environment.name == name)


def deployments(world, name: str) -> list[str]:
    [environment] = rows(world, name)
    found = world.railway.world.data["deployments"].values()
    return [row["id"] for row in found if row["environmentId"] == environment["id"]]


def test_railways_own_environments_are_explained_and_never_touched(world):
    world.railway.set_pr_environments(True)
    world.github.on_pull.append(_to_railway(world))
    number = world.github.open_pull(BRANCH, "staging", "Search")
    name = f"inspector-pr-{number}"
    before = deployments(world, name)

    world.work(lambda: Preview.objects.filter(number=number, state="blocked").exists())
    world.work(lambda: Environment.objects.filter(name=name, by_railway=True).exists())
    seen = outsider(name)
    with pytest.raises(Refused, match="Railway owns it"):
        actions.adopt_environment(seen.environment, actor=world.person("alice"), typed=name)

    message = Preview.objects.get().sentence
    assert name in message and "PR Environments" in message
    assert "Railway deploys it" in seen.sentence
    assert deployments(world, name) == before and rows(world, f"pr-{number}") == []
    world.github.close_pull(number)
    world.work(lambda: Environment.objects.get(name=name).gone_at is not None)


def _to_railway(world):
    def tell(pull: dict) -> None:
        if pull["state"] == "open":
            head, base = pull["head"], pull["base"]
            world.railway.pull_opened(pull["number"], pull["title"], head, base)
        else:
            world.railway.pull_closed(pull["number"])

    return tell


def test_where_railway_makes_them_the_portal_makes_none_until_that_is_switched_off(world):
    world.railway.set_pr_environments(True)
    world.work(lambda: RailwaySync.objects.get().pr_environments)
    number = world.github.open_pull(BRANCH, "staging", "Search")

    world.work(lambda: Preview.objects.filter(number=number, state="blocked").exists())
    none = rows(world, f"pr-{number}")
    world.railway.set_pr_environments(False)
    world.work(lambda: Preview.objects.get().state == "live", seconds=60)

    assert none == [] and len(rows(world, f"pr-{number}")) == 1


def test_an_actions_environment_is_left_alone_until_a_person_adopts_it_and_is_the_portals_then(
    world,
):
    number = next_number(world)
    name = f"pr-{number}"
    world.railway.made_by_action(name, BRANCH)
    assert world.github.open_pull(BRANCH, "staging", "Search") == number
    world.work(lambda: Preview.objects.filter(number=number, state="blocked").exists())
    world.work(lambda: Environment.objects.filter(name=name).exists())
    before, theirs = deployments(world, name), outsider(name)
    told = Preview.objects.get().sentence

    with pytest.raises(NotPermitted):
        actions.adopt_environment(theirs.environment, actor=world.person("bob"), typed=name)
    with pytest.raises(Refused, match="Type the name"):
        actions.adopt_environment(theirs.environment, actor=world.person("alice"), typed="pr")
    untouched = deployments(world, name) == before
    actions.adopt_environment(theirs.environment, actor=world.person("alice"), typed=name)
    world.work(lambda: Preview.objects.get().state == "live", seconds=60)

    assert untouched and "Somebody else created" in told and theirs.why_not == ""
    assert len(rows(world, name)) == 1 and Preview.objects.get().adopted
    assert adoption.outsiders(world.project) == []
    event = AuditEvent.objects.get(action="preview.adopted", outcome="done")
    assert event.actor_name == "alice"
    world.github.close_pull(number)
    world.work(lambda: rows(world, name) == [], seconds=60)


def test_an_actions_environment_whose_pull_request_is_closed_stays(world):
    number = next_number(world)
    world.railway.made_by_action(f"pr-{number}", BRANCH)
    world.github.open_pull(BRANCH, "staging", "Search")
    world.work(lambda: Preview.objects.filter(number=number, state="blocked").exists())

    world.github.close_pull(number)
    world.work(lambda: not Preview.objects.get().is_open, seconds=60)

    assert len(rows(world, f"pr-{number}")) == 1
    assert "so it cannot be adopted" in outsider(f"pr-{number}").why_not
