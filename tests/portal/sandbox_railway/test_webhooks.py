"""Webhooks: what is sent, to whom, and how they get lost or come twice."""

import pytest

from portal.sandbox.server import Response, Server

from .conftest import wait_for

CREATE = """mutation($input: CreateNotificationRuleInput!) {
  notificationRuleCreate(input: $input) { id channels { config } } }"""


@pytest.fixture
def receiver():
    """A server that takes webhooks; the first `server.refusals` of them fail."""

    def take(request):
        received.headers.append(request.headers)
        received.bodies.append(request.json())
        refused = len(received.bodies) <= received.refusals
        return Response(503 if refused else 200, {})

    received = Server(take)
    received.headers, received.bodies, received.refusals = [], [], 0
    received.start()
    yield received
    received.stop()


def types(receiver):
    return [body["type"] for body in receiver.bodies]


def test_a_rule_gets_its_events_with_its_headers_and_tells_no_header_again(railway, receiver):
    workspace = railway.standin.world.data["workspace"]["id"]
    config = {"type": "webhook", "url": f"{receiver.url}/hook", "headers": {"X-Secret": "s3cret"}}
    rule = railway.ask(
        CREATE,
        {
            "input": (
                {"workspaceId": workspace, "projectId": railway.project}
                | {"eventTypes": ["deployment.DEPLOYED"], "channelConfigs": [config]}
            )
        },
    )["notificationRuleCreate"]
    commit = railway.push("Tell them")
    railway.settle()

    wait_for(lambda: len(receiver.bodies) == 2)

    body = next(
        body for body in receiver.bodies if body["resource"]["service"]["name"] == "backend"
    )
    assert rule["channels"][0]["config"]["headers"] == {"X-Secret": "***"}
    assert {headers["x-secret"] for headers in receiver.headers} == {"s3cret"}
    assert set(types(receiver)) == {"Deployment.deployed"}
    assert set(body) == {"type", "details", "resource", "severity", "timestamp"}
    assert body["details"]["commitHash"] == commit
    assert body["details"]["branch"] == "main"
    assert body["resource"]["environment"]["name"] == "production"
    assert body["resource"]["deployment"]["id"] == body["details"]["id"]


def test_every_state_is_told(railway, receiver):
    railway.standin.never_next("frontend", "production")
    railway.standin.add_webhook(receiver.url)
    railway.push("One")
    railway.settle()

    wait_for(lambda: len(receiver.bodies) == 4)

    told = {"Deployment." + name for name in ("queued", "building", "deploying", "deployed")}
    assert set(types(receiver)) == told


def test_a_refused_delivery_is_tried_again(railway, receiver):
    receiver.refusals = 2
    railway.standin.never_next("frontend", "production")
    railway.standin.add_webhook(receiver.url, event_types=["Deployment.deployed"])
    railway.push()
    railway.settle()

    wait_for(lambda: len(receiver.bodies) == 3)

    assert receiver.bodies[0] == receiver.bodies[2]


def test_webhooks_get_lost_and_come_twice_on_request(railway, receiver):
    railway.standin.never_next("frontend", "production")
    railway.standin.add_webhook(
        receiver.url, event_types=["Deployment.queued", "Deployment.deployed"]
    )
    railway.standin.set_knobs(drop_webhooks=1, repeat_webhooks=1)
    railway.push()
    wait_for(lambda: railway.standin.world.data["knobs"]["drop_webhooks"] == 0)
    railway.settle()

    wait_for(lambda: len(receiver.bodies) == 2)

    assert types(receiver) == ["Deployment.deployed"] * 2
