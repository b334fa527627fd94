import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from portal.sandbox.railway import RailwayStandIn
from portal.sandbox.server import Server

TOKEN = "sandbox-railway-token"
CLIENT = httpx.Client(timeout=10, verify=False)  # noqa: S501 - plain HTTP on loopback; loading roots is slow


class Clock:
    """Seconds that pass only when told to."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


def git(repository, *arguments):
    identity = [
        "-c",
        "user.name=Ada",
        "-c",
        "user.email=ada@example.com",
        "-c",
        "commit.gpgsign=false",
    ]
    command = ["git", "-C", str(repository), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@dataclass
class Repository:
    """A bare repository with a work tree beside it."""

    bare: Path
    work: Path

    def commit(self, message: str, path: str = "app.txt", branch: str = "main") -> str:
        git(self.work, "checkout", "-q", branch)
        (self.work / path).parent.mkdir(parents=True, exist_ok=True)
        (self.work / path).write_text(message)
        git(self.work, "add", "-A")
        git(self.work, "commit", "-q", "-m", message)
        git(self.work, "push", "-q", "origin", branch)
        return git(self.work, "rev-parse", "HEAD")


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    """One commit on main and staging, made once and copied for every test."""
    directory = tmp_path_factory.mktemp("template")
    bare, work = directory / "bare.git", directory / "work"
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(bare)], check=True)
    subprocess.run(["git", "clone", "-q", str(bare), str(work)], check=True, capture_output=True)
    git(work, "remote", "set-url", "origin", "../bare.git")
    git(work, "checkout", "-q", "-B", "main")
    (work / "app.txt").write_text("first")
    git(work, "add", "-A")
    git(work, "commit", "-q", "-m", "First")
    git(work, "branch", "staging")
    git(work, "push", "-q", "origin", "main", "staging")
    return directory


@pytest.fixture
def repository(tmp_path, template):
    shutil.copytree(template, tmp_path / "repository")
    return Repository(tmp_path / "repository" / "bare.git", tmp_path / "repository" / "work")


@pytest.fixture
def clock():
    return Clock()


@dataclass
class Railway:
    """The stand-in behind its server, asked as a client asks it."""

    standin: RailwayStandIn
    server: Server
    repository: Repository
    clock: Clock

    def post(self, query, variables=None, token=TOKEN, headers=None, **more):
        headers = headers if headers is not None else {"Authorization": f"Bearer {token}"}
        body = {"query": query, "variables": variables or {}} | more
        return CLIENT.post(f"{self.server.url}/graphql/v2", json=body, headers=headers)

    def ask(self, query, variables=None, **more):
        answer = self.post(query, variables, **more)
        assert "errors" not in answer.json(), answer.text
        return answer.json()["data"]

    def refusal(self, query, variables=None, **more):
        answer = self.post(query, variables, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()["errors"][0]["message"]

    @property
    def project(self):
        return self.standin.project_id

    def ids(self, environment="production", service="backend"):
        named = self.standin._named
        return {
            "environmentId": named("environments", environment)["id"],
            "serviceId": named("services", service)["id"],
        }

    def push(self, message="Next", branch="main", path="app.txt"):
        before = git(self.repository.bare, "rev-parse", branch)
        after = self.repository.commit(message, path, branch)
        self.standin.pushed(branch, before, after)
        return after

    def settle(self):
        """Lets everything that moves arrive."""
        self.clock.advance(10)

    def get(self, path="/health", environment="production", service="backend"):
        return CLIENT.get(self.standin.address(service, environment) + path)


@pytest.fixture
def railway(tmp_path, repository, clock):
    """A project with staging and production, backend and frontend, nothing deployed yet."""
    standin = RailwayStandIn(
        tmp_path / "railway",
        repository=repository.bare,
        repository_name="acme/inspector",
        clock=clock,
    )
    server = Server(standin).start()
    standin.add_environment("production")
    standin.add_environment("staging")
    for service in ("backend", "frontend"):
        standin.add_service(service, service)
        standin.set_trigger(service, "production", "main")
        standin.set_trigger(service, "staging", "staging")
    yield Railway(standin, server, repository, clock)
    server.stop()
    standin.stop()


def wait_for(found, seconds=5.0):
    """Waits for something another thread does; returns it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if result := found():
            return result
        time.sleep(0.02)
    raise AssertionError("It did not happen in time.")
