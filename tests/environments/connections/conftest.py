"""A project on both stand-ins over real sockets, with the tokens that they know."""

import pytest
import stamina

from environments.models import Project
from portal.sandbox.railway import RailwayStandIn
from portal.sandbox.server import Server
from tests.stand_in import github_with_the_sample


@pytest.fixture(autouse=True)
def no_waiting():
    with stamina.set_testing(True, attempts=3, cap=True):
        yield


@pytest.fixture
def hub(tmp_path, settings):
    hub = github_with_the_sample(tmp_path / "github")
    server = Server(hub).start()
    hub.url = settings.GITHUB_API_URL = server.url
    settings.GITHUB_TOKEN = "sandbox-github-token"
    hub.server = server
    yield hub
    server.stop()
    hub.hooks.stop()


@pytest.fixture
def railway(tmp_path, settings, hub):
    standin = RailwayStandIn(
        tmp_path / "railway", repository=hub.git.path, repository_name="acme/inspector"
    )
    server = Server(standin).start()
    standin.add_environment("staging")
    standin.server = server
    settings.RAILWAY_API_URL = f"{server.url}/graphql/v2"
    settings.RAILWAY_API_TOKEN, settings.RAILWAY_TOKEN = "sandbox-railway-token", ""
    yield standin
    server.stop()
    standin.stop()


@pytest.fixture
def project(railway):
    values = {"repository": "acme/inspector", "railway_project_id": railway.project_id}
    return Project.objects.create(name="inspector", slug="inspector", **values)
