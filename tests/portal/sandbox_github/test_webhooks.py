"""Webhooks: signed, shaped as published, and as unreliable as asked."""

import json

import pytest

from portal.sandbox.github.hooks import signature
from portal.sandbox.sample import CI
from portal.sandbox.server import Response, Server

from .official import SHARED, hold, needs_it

SECRET = "It's a Secret to Everybody"
# Parts of the published examples that belong to an App's installation, to an organisation, or to a
# deployment
# that a workflow made.
OTHERS = {"installation", "organization"}
BY_WORKFLOW = {"workflow", "workflow_run", "check_run"}


class Listener:
    def __init__(self):
        self.heard = []
        self.status = 200
        self.server = Server(self._hear).start()

    def _hear(self, request):
        self.heard.append(request)
        return Response(self.status, {})

    def events(self, name):
        return [r.json() for r in self.heard if r.headers["x-github-event"] == name]


@pytest.fixture
def listener(world):
    listener = Listener()
    world.hook = world.hub.add_hook(f"{listener.server.url}/hook", SECRET, ["*"])
    world.hub.hooks.wait()
    listener.heard.clear()
    yield listener
    listener.server.stop()


def test_the_signature_is_the_one_github_publishes_as_an_example():
    expected = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"

    assert signature(SECRET, b"Hello, World!") == f"sha256={expected}"


def test_a_delivery_is_signed_over_its_very_bytes_and_named(world, listener):
    world.hub.push_commit("staging", {"a": "1\n"}, "One")
    world.hub.hooks.wait()

    push = next(r for r in listener.heard if r.headers["x-github-event"] == "push")
    assert push.headers["x-hub-signature-256"] == signature(SECRET, push.body)
    assert len(push.headers["x-github-delivery"]) == 36


def test_a_merge_tells_of_the_pull_request_and_of_the_push(world, listener):
    number = world.promotion()
    before = world.hub.heads()["main"]

    made = world.http.put(world.path(f"/pulls/{number}/merge"), json={}).json()["sha"]
    world.hub.hooks.wait()

    actions = [(e["action"], e["pull_request"]["merged"]) for e in listener.events("pull_request")]
    assert actions == [("opened", False), ("closed", True)]
    assert [(p["ref"], p["before"], p["after"]) for p in listener.events("push")] == [
        ("refs/heads/main", before, made)
    ]


def test_a_push_to_an_open_head_is_a_synchronize(world, listener):
    before = world.hub.heads()["feature/csv-export"]
    tip = world.hub.push_commit("feature/csv-export", {"a": "1\n"}, "One")
    world.hub.hooks.wait()

    (event,) = listener.events("pull_request")
    assert (event["action"], event["before"], event["after"]) == ("synchronize", before, tip)


def test_deliveries_can_be_lost_repeated_and_shuffled(world, listener):
    tip, hooks = world.hub.heads()["staging"], world.hub.hooks

    hooks.drop_next(1)
    world.hub.set_status(tip, "lost", "success")
    hooks.wait()
    hooks.repeat_next(1)
    world.hub.set_status(tip, "twice", "success")
    hooks.wait()
    hooks.shuffle_next(2)
    world.hub.set_status(tip, "first", "success")
    world.hub.set_status(tip, "second", "success")
    hooks.wait()

    assert [e["context"] for e in listener.events("status")] == [
        "twice",
        "twice",
        "second",
        "first",
    ]
    guids = [r.headers["x-github-delivery"] for r in listener.heard]
    assert guids[0] == guids[1]
    assert guids[2] != guids[3]


def test_a_failed_delivery_is_not_retried_but_can_be_asked_for_again_under_its_guid(
    world, listener
):
    listener.status = 500
    world.hub.set_status(world.hub.heads()["staging"], "c", "success")
    world.hub.hooks.wait()
    deliveries = world.path(f"/hooks/{world.hook}/deliveries")
    failed = world.http.get(deliveries).json()[0]
    listener.status = 200

    world.http.post(f"{deliveries}/{failed['id']}/attempts")
    world.hub.hooks.wait()

    again = world.http.get(deliveries).json()[0]
    assert (failed["status_code"], failed["redelivery"]) == (500, False)
    assert (again["status_code"], again["redelivery"], again["guid"]) == (200, True, failed["guid"])
    assert len(listener.heard) == 2


def keys(example, mine, at=""):
    """Paths of keys that the example has and ours has not."""
    missing = set()
    for name, value in example.items():
        path = f"{at}.{name}".strip(".")
        if name not in mine:
            missing.add(path)
        elif isinstance(value, dict) and isinstance(mine[name], dict):
            missing |= keys(value, mine[name], path)
        elif isinstance(value, list) and value and mine[name] and isinstance(value[0], dict):
            missing |= keys(value[0], mine[name][0], f"{path}[]")
    return missing


@needs_it[1]
@pytest.mark.official
def test_payloads_have_what_the_published_examples_have(world, listener):
    number = world.promotion()
    tip = world.hub.heads()["staging"]
    world.hub.set_check(tip, CI, "in_progress")
    world.hub.set_check(tip, CI)
    world.hub.add_review(number, "jonas")
    world.hub.push_commit("feature/csv-export", {"a": "1\n"}, "One")
    world.http.put(world.path(f"/pulls/{number}/merge"), json={})
    world.hub.close_pull(130)
    world.http.post(world.path("/releases"), json={"tag_name": "v1"})
    held = world.http.post(
        world.path("/deployments"), json={"ref": "main", "required_contexts": []}
    )
    hold(held)
    status = world.path(f"/deployments/{held.json()['id']}/statuses")
    world.http.post(status, json={"state": "in_progress"})
    world.http.post(world.path(f"/hooks/{world.hook}/pings"))
    world.hub.hooks.wait()

    missing = {}
    for path in sorted((SHARED / "webhooks").glob("*.json")):
        event, action = [*path.stem.split("."), ""][:2]
        ours = [e for e in listener.events(event) if action in ("", e.get("action"))]
        if path.stem.endswith("merged"):
            wanted = not path.stem.endswith("unmerged")
            ours = [e for e in ours if e["pull_request"]["merged"] is wanted]
        missing[path.stem] = (
            keys(json.loads(path.read_text()), ours[0]) if ours else {"no such event"}
        )
    left = {
        stem: {key for key in found - OTHERS if ".permissions" not in key}
        for stem, found in missing.items()
    }
    assert left.pop("branch_protection_rule.edited") == {"no such event"}
    for stem in ("deployment.created", "deployment_status.created"):
        left[stem] -= BY_WORKFLOW
    assert {stem: found for stem, found in left.items() if found} == {}
