"""`manage.py run` as a person starts it, without the stand-ins: those are tried by the journeys
and the demo.
"""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import psycopg
import pytest
from django_q.conf import Conf

from portal.server.embedded_postgres import attach
from tests.faults.idle_workers import LIMIT_SECONDS, idle_workers
from tests.portal.server.test_children import gone
from tests.ports import free_port

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]


class Portal:
    """A portal run from `var` on `port`, and what it printed."""

    def __init__(self, var: Path, port: int) -> None:
        self.var, self.port = var, port
        env = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
        env |= {
            "PORTAL_VAR_DIR": str(var),
            "PORTAL_ENV_FILE": os.devnull,
            "GITHUB_TOKEN": "not used here",
        }
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "run", "--port", str(port)],
            cwd=ROOT,
            env=env,
            stdout=-1,
            stderr=-2,
            text=True,
        )

    def await_ready(self) -> "Portal":
        lines = []
        for line in self.process.stdout:
            lines.append(line)
            if line.startswith(f"portal  | Release portal: http://127.0.0.1:{self.port}/"):
                return self
        raise AssertionError("".join(lines))

    @property
    def family(self) -> list[int]:
        """The supervisor and all below it."""
        top = psutil.Process(self.process.pid)
        return [top.pid, *(process.pid for process in top.children(recursive=True))]

    def status(self) -> int:
        try:
            return urllib.request.urlopen(
                f"http://127.0.0.1:{self.port}/admin/login/", timeout=10
            ).status
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def query(self, sql: str) -> object:
        server = attach(self.var / "postgres")
        with psycopg.connect(server.url) as connection:
            return connection.execute(sql).fetchone()[0]

    def child(self, name: str) -> psutil.Process:
        """The worker or the web server: forks, told apart by what only one of them does,
        serving.
        """
        forks = [
            process
            for process in psutil.Process(self.process.pid).children()
            if process.name() != "postgres"
        ]
        return next(process for process in forks if _serves(process) == (name == "web"))

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        self.process.communicate()


def _serves(process: psutil.Process) -> bool:
    connections = (
        connection
        for part in (process, *process.children())
        for connection in part.net_connections("tcp")
    )
    return any(connection.status == psutil.CONN_LISTEN for connection in connections)


def _answer(port: int, request: bytes) -> bytes:
    """The status with which `port` answers, empty when nobody does."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
            line.sendall(request)
            return line.recv(12).removeprefix(b"HTTP/1.1 ")
    except OSError:
        return b""


def becomes(condition, seconds: float = LIMIT_SECONDS) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.1)
    return False


@pytest.fixture(scope="module")
def portal(tmp_path_factory):
    portal = Portal(tmp_path_factory.mktemp("a portal"), free_port()).await_ready()
    yield portal
    portal.stop()


def test_it_serves_the_first_page(portal):
    assert portal.status() == 200


def test_it_refuses_a_taken_port_in_one_sentence_before_it_starts_anything(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = Portal(tmp_path / "var", port)
        message, _ = refused.process.communicate(timeout=30)

    assert (
        message
        == f"Cannot serve on 127.0.0.1 port {port} (Address already in use); stop what uses it, "
        f"or take another: PORT={port + 1}\n"
    )
    assert refused.process.returncode == 1
    assert not (tmp_path / "var").exists()


def test_a_second_portal_on_the_same_data_is_refused(portal):
    second = Portal(portal.var, free_port())
    message, _ = second.process.communicate(timeout=30)

    assert message.startswith("Another process runs the database in ")
    assert second.process.returncode == 1
    assert portal.status() == 200


def test_other_commands_work_beside_it_on_its_database(portal):
    code = "from portal.jobs.sweep import canary_seen; print(canary_seen('nobody sent this'))"
    env = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}

    done = subprocess.run(
        [sys.executable, "manage.py", "shell", "--verbosity=0", "-c", code],
        cwd=ROOT,
        env=env | {"PORTAL_VAR_DIR": str(portal.var)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == "False"
    assert portal.query("select 1") == 1


def test_the_web_server_runs_apart_too_refuses_a_taken_port_and_ends_when_told(portal):
    port = free_port()
    env = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    env |= {"PORTAL_VAR_DIR": str(portal.var), "PORT": str(port)}
    command = [sys.executable, "manage.py", "web", "--host=127.0.0.1"]
    web = subprocess.Popen(command, cwd=ROOT, env=env)
    try:
        assert becomes(
            lambda: _answer(port, b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n") == b"200"
        )
        second = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
        assert (
            _answer(port, b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: " + b"x" * 500_000) == b"431"
        )
    finally:
        web.terminate()
        ended = web.wait(timeout=20)

    assert second.returncode == 1
    assert second.stderr.startswith(
        f"CommandError: Cannot serve on 127.0.0.1 port {port} (Address already in use);"
    )
    assert ended == 0
    assert _answer(port, b"") == b""


@pytest.mark.parametrize("name", ["web", "worker"])
def test_it_starts_again_what_was_killed(portal, name):
    killed = portal.child(name)
    beneath = [process.pid for process in killed.children(recursive=True)]
    killed.kill()

    assert gone([killed.pid, *beneath])
    assert becomes(
        lambda: len(psutil.Process(portal.process.pid).children()) == 3 and portal.status() == 200
    )


def test_it_serves_again_when_the_process_that_answers_was_killed(portal):
    web = portal.child("web")
    [answering] = web.children()
    answering.kill()

    assert gone([web.pid, answering.pid])
    assert becomes(
        lambda: len(psutil.Process(portal.process.pid).children()) == 3 and portal.status() == 200
    )


def test_work_goes_on_after_the_idle_workers_were_killed(portal):
    beat = "select max(at) from portal_heartbeat"
    assert becomes(lambda: len(portal.child("worker").children(recursive=True)) == 4 + Conf.WORKERS)
    for process in idle_workers(portal.child("worker")):
        process.kill()
    before = portal.query(beat)

    assert becomes(lambda: portal.query(beat) > before)


def test_it_goes_on_after_the_database_was_killed(portal):
    beat = "select max(at) from portal_heartbeat"
    before = portal.query(beat)
    [postmaster] = [
        p for p in psutil.Process(portal.process.pid).children() if p.name() == "postgres"
    ]
    postmaster.kill()

    assert becomes(
        lambda: attach(portal.var / "postgres") is not None and portal.query(beat) > before
    )
    assert becomes(lambda: portal.status() == 200)


def test_nothing_outlives_a_killed_supervisor_and_the_next_one_finds_its_data(portal):
    kept = "select applied from django_migrations where app = 'releases' order by 1 limit 1"
    first = portal.query(kept)
    family = portal.family

    os.kill(portal.process.pid, signal.SIGKILL)

    assert gone(family)
    again = Portal(portal.var, portal.port).await_ready()
    assert again.query(kept) == first
    started = time.monotonic()
    family = again.family
    again.stop()
    assert again.process.returncode == 0
    assert time.monotonic() - started < 12
    assert gone(family)
