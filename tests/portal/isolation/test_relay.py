"""The relay between a confined process and a database that demands TLS."""

import os
import socket
from contextlib import contextmanager
from urllib.parse import urlsplit

import psycopg
import pytest

from environments.schema.run import wire
from portal.isolation.relay import Relay
from tests.portal.isolation.tls import behind_tls, certificate, listening, programs, pumped, real


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    return certificate(tmp_path_factory.mktemp("own"))


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    return certificate(tmp_path_factory.mktemp("foreign"), called="foreign")


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    return certificate(tmp_path_factory.mktemp("elsewhere"), "192.0.2.1", "elsewhere")


@pytest.fixture(scope="module", params=["behind an end of TLS", "PostgreSQL's own TLS"])
def server(request, own):
    """The address of a server that answers nothing in the clear."""
    if request.param == "PostgreSQL's own TLS":
        if programs() is None:
            pytest.skip("no PostgreSQL of the system speaks TLS")
        with real(own) as url:
            yield url
        return
    plain = urlsplit(os.environ["DATABASE_URL"])
    with behind_tls((plain.hostname, plain.port), own) as port:
        yield at(os.environ["DATABASE_URL"], port)


def at(url: str, port: int) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=f"{parts.netloc.rpartition(':')[0]}:{port}", query="").geturl()


@contextmanager
def relayed(url: str, asked: str, judge=lambda statement: ""):
    """The address under which a process meets the relay, which speaks to `url` as `asked`."""
    terms = wire.terms(f"{url}?{asked}", {}, version_table="", allowed=None)
    relay = Relay(terms, judge)
    relay.start()
    to = urlsplit(url)

    def answer(connection: socket.socket) -> None:
        outside = socket.create_connection((to.hostname, to.port))
        pumped(connection, relay.instead_of(outside, to.hostname))

    with listening(answer) as port:
        yield at(url, port)


def ask(url: str, mode: str = "require") -> int:
    """Asks as a process does that `wire` has told to bind nothing to the server's certificate."""
    asked = f"sslmode={mode}&channel_binding=disable"
    with psycopg.connect(f"{url}?{asked}", connect_timeout=10) as opened:
        opened.execute("create temporary table seen as select 42 as answer")
        return opened.execute("select answer from seen").fetchone()[0]


def test_the_server_takes_nothing_in_the_clear(server):
    with pytest.raises(psycopg.OperationalError):
        ask(server, "disable")


@pytest.mark.parametrize("mode", ["require", "prefer", "verify-ca", "verify-full"])
def test_each_statement_is_read_and_travels_by_tls(server, own, mode):
    heard: list[str] = []
    asked = f"sslmode={mode}&sslrootcert={own.file}"

    with relayed(server, asked, lambda one: heard.append(one) or "") as url:
        inside = [ask(url, one) for one in ("require", "disable")]  # the process's own wish

    assert inside == [42, 42]
    assert heard.count("select answer from seen") == 2


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
def test_a_server_with_another_certificate_is_not_spoken_to(server, foreign, mode):
    asked = f"sslmode={mode}&sslrootcert={foreign.file}"

    with relayed(server, asked) as url, pytest.raises(psycopg.OperationalError):
        ask(url)


def test_a_certificate_for_another_address_is_refused_where_the_name_counts(elsewhere):
    plain = urlsplit(os.environ["DATABASE_URL"])
    with behind_tls((plain.hostname, plain.port), elsewhere) as port:
        server, root = at(os.environ["DATABASE_URL"], port), f"sslrootcert={elsewhere.file}"
        with relayed(server, f"sslmode=verify-ca&{root}") as url:
            assert ask(url) == 42
        asked = f"sslmode=verify-full&{root}"
        with relayed(server, asked) as url, pytest.raises(psycopg.OperationalError):
            ask(url)


def test_a_server_without_tls_gets_nothing_where_the_address_requires_it():
    plain = at(os.environ["DATABASE_URL"], urlsplit(os.environ["DATABASE_URL"]).port)

    with relayed(plain, "sslmode=prefer") as url:
        assert ask(url) == 42
    refused = pytest.raises(psycopg.OperationalError, match="offers no TLS")
    with relayed(plain, "sslmode=require") as url, refused:
        ask(url)


def test_what_is_held_back_reaches_no_server_also_behind_tls(server, own):
    asked = f"sslmode=verify-full&sslrootcert={own.file}"

    refused = pytest.raises(psycopg.errors.InsufficientPrivilege, match="Held back")
    with relayed(server, asked, lambda one: "Held back." if "seen" in one else "") as url, refused:
        ask(url)
