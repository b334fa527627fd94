import time

import pytest

from environments.smoke.probe import address_of, is_public, probe
from portal.outbound import http
from portal.sandbox.server import Fault, Response, Server

COMMIT = "a" * 40


@pytest.fixture
def server():
    server = Server(lambda request: Response(200, {"commit": COMMIT})).start()
    yield server
    server.stop()


def ask(server: Server, **other):
    asked = {"path": "/health", "expected_status": 200, "timeout": 2, "local": True} | other
    return probe(server.url, **asked)


def test_it_is_green_when_status_and_commit_are_as_expected(server):
    found = ask(server, expected_commit=COMMIT)

    assert (found.ok, found.status, found.commit) == (True, 200, COMMIT)
    assert 0 < found.seconds < 2


def test_the_header_tells_the_commit_too_and_a_short_one_will_do(server):
    server.app = lambda request: Response(200, b"<html>", {"X-Commit": "aaaaaaa"})

    assert ask(server, expected_commit=COMMIT).ok is True


@pytest.mark.parametrize("message", ["b" * 40, "aaaaaaab", "aaaaaa", "unknown", "a" * 41])
def test_another_commit_is_red(server, message):
    server.app = lambda request: Response(200, {"commit": message})

    found = ask(server, expected_commit=COMMIT)

    assert found.ok is False and "was expected" in found.sentence


@pytest.mark.parametrize(
    "body", [b"fine", b"{}", b'{"commit": 7}', b'{"commit"', b"[1]", b"\xff", b"{" * 5000]
)
def test_a_service_that_reports_no_commit_is_judged_by_its_status(server, body):
    server.app = lambda request: Response(200, body)

    found = ask(server, expected_commit=COMMIT)

    assert (found.ok, found.commit) == (True, None)


def test_another_key_can_hold_the_commit(server):
    server.app = lambda request: Response(200, {"version": COMMIT})

    assert ask(server, expected_commit=COMMIT, commit_key="version").commit == COMMIT


def test_another_status_is_red_and_named(server):
    server.app = lambda request: Response(503, {})

    found = ask(server)

    assert found.ok is False and "HTTP 503" in found.sentence


def test_a_redirect_is_a_status_and_not_followed(server):
    server.app = lambda request: Response(302, b"", {"Location": "/login"})

    assert ask(server).ok is False
    assert ask(server, expected_status=302).ok is True
    assert {seen.path for seen in server.requests} == {"/health"}


@pytest.mark.parametrize("kind", ["drop", "refuse"])
def test_no_answer_is_no_verdict(server, kind):
    server.faults.append(Fault(kind))

    found = ask(server)

    assert (found.ok, found.status) == (None, None)
    assert found.sentence.endswith(".")


def test_a_slow_answer_is_no_verdict_and_is_not_waited_for(server):
    server.faults.append(Fault("latency", seconds=1))
    started = time.monotonic()

    found = ask(server, timeout=0.1)

    assert found.ok is None and "0.1 s" in found.sentence
    assert time.monotonic() - started < 0.9


def test_a_closed_port_is_no_verdict():
    server = Server(lambda request: Response()).start()
    server.stop()

    found = ask(server)

    assert found.ok is None and "cannot be reached" in found.sentence


def test_a_body_beyond_1_mb_is_no_verdict(server):
    server.app = lambda request: Response(200, b"x" * 1_100_000)

    assert ask(server).ok is None


def test_a_service_is_asked_once(server):
    server.app = lambda request: Response(500, {})

    ask(server)

    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("base", "address"),
    [
        ("api.up.railway.app", "https://api.up.railway.app/x"),
        ("https://api.up.railway.app/", "https://api.up.railway.app/x"),
        ("http://api.up.railway.app", "https://api.up.railway.app/x"),
        ("127.0.0.1:8001", "http://127.0.0.1:8001/x"),
        ("http://127.1.2.3:8001", "http://127.1.2.3:8001/x"),
        ("localhost", "http://localhost/x"),
        ("localhost.evil.com", "https://localhost.evil.com/x"),
    ],
)
def test_a_visitor_comes_by_https_except_to_this_machine(base, address):
    assert address_of(base, "/x") == address


@pytest.mark.parametrize(
    "base", ["", "a b", "user@host", "host/path", "file:///etc", "ho\nst", "host?x", "[::1", "a:b"]
)
def test_what_is_no_domain_is_refused(base):
    assert address_of(base, "/x") is None
    assert probe(base, path="/x", expected_status=200).ok is None


@pytest.mark.parametrize("path", ["", "x", "@evil.com", "/a b", "/a\r\nHost: x", "/ä", "/\\x"])
def test_a_path_must_begin_with_a_slash_and_hold_no_spaces(path):
    assert address_of("127.0.0.1", path) is None


# Only the public internet is asked


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.9.9.9",
        "0.0.0.0",  # noqa: S104
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "198.18.0.1",
        "192.0.2.1",
        "::",
        "::1",
        "fe80::1",
        "fe80::1%eth0",
        "fd12::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "2002:7f00:1::",
        "64:ff9b::a9fe:a9fe",
        "fd00:ec2::254",
    ],
)
def test_addresses_that_are_not_for_everybody_are_none_of_ours(address):
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "2606:4700::1111", "64:ff9b::101:101", "::ffff:1.1.1.1"]
)
def test_addresses_of_the_internet_are_asked(address):
    assert is_public(address)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:{port}", "localhost:{port}", "127.1:{port}", "2130706433:{port}", "[::1]:{port}"],
)
def test_a_domain_that_leads_to_this_machine_is_not_asked(server, host):
    found = probe(host.format(port=server.port), path="/health", expected_status=200, local=False)

    assert found.ok is None and server.requests == []
    assert "not on the public internet" in found.sentence or "has no address" in found.sentence


def test_outside_the_sandbox_this_machine_is_never_asked(server, settings):
    settings.RAILWAY_API_URL = "https://backboard.railway.com/graphql/v2"

    assert probe(server.url, path="/health", expected_status=200).ok is None
    assert server.requests == []


def test_what_is_asked_is_the_address_that_was_judged_under_the_name_of_its_host(server):
    server.app = lambda request: Response(200, {"host": request.headers["host"]})

    reply = http.send(
        "smoke", "GET", f"http://unknown.invalid:{server.port}/x", write=False, at="127.0.0.1"
    )

    assert reply.json() == {"host": f"unknown.invalid:{server.port}"}
