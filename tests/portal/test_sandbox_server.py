import httpx
import pytest

from portal.sandbox.server import Fault, Response, Server


@pytest.fixture
def server():
    server = Server(lambda request: Response(200, {"path": request.path})).start()
    yield server
    server.stop()


def test_it_answers_and_writes_down_what_was_asked(server):
    answer = httpx.get(f"{server.url}/repos/acme/inspector")

    assert answer.json() == {"path": "/repos/acme/inspector"}
    assert [(seen.method, seen.status) for seen in server.requests] == [("GET", 200)]


def test_a_fault_hits_as_often_as_asked_and_no_more(server):
    server.faults.append(Fault("status", times=2, status=503))

    statuses = [httpx.get(f"{server.url}/x").status_code for _ in range(3)]

    assert statuses == [503, 503, 200]


def test_a_dropped_answer_was_still_carried_out(server):
    server.faults.append(Fault("drop"))

    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(f"{server.url}/x")

    assert len(server.requests) == 1
