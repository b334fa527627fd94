from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from github import Auth, Github
from github.Repository import Repository

from portal.sandbox import sample
from portal.sandbox.github import GitHubStandIn
from portal.sandbox.server import Server

TOKEN, ADMIN = "sandbox-github-token", "sandbox-admin-token"


@dataclass
class World:
    """A stand-in that serves the sample, and ways to talk to it."""

    hub: GitHubStandIn
    server: Server
    sample: sample.Sample
    http: httpx.Client

    def repo(self, token: str = TOKEN) -> Repository:
        """PyGithub's view of the repository."""
        client = Github(
            auth=Auth.Token(token),
            base_url=self.server.url,
            retry=None,
            seconds_between_requests=0,
            seconds_between_writes=0,
            api_version="2022-11-28",
        )
        return client.get_repo(self.hub.full_name)

    def path(self, rest: str) -> str:
        return f"/repos/{self.hub.full_name}{rest}"

    def promotion(self) -> int:
        """An open pull request from staging into main whose checks have passed."""
        number = self.hub.open_pull("staging", "main", "Promote staging")
        self.hub.set_status(self.hub.heads()["staging"], sample.VERDICT, "success")
        return number


@pytest.fixture(scope="session")
def built(tmp_path_factory) -> sample.Sample:
    return sample.build(tmp_path_factory.mktemp("sample"))


def serve(directory: Path) -> tuple[GitHubStandIn, Server]:
    hub = GitHubStandIn(directory, owner="acme", name="signals")
    server = Server(hub).start()
    hub.url = server.url
    return hub, server


@pytest.fixture
def world(tmp_path, built):
    hub, server = serve(tmp_path / "github")
    sample.populate(hub, built)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with httpx.Client(base_url=server.url, headers=headers, timeout=20, trust_env=False) as client:
        yield World(hub, server, built, client)
    server.stop()
    hub.hooks.stop()
