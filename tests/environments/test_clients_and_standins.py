"""The clients against the stand-ins: real git, real GraphQL, real addresses, all over the
socket.
"""

import time

import pytest
import stamina
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from environments.github import GitHub, Recent, comments
from environments.railway import Railway
from environments.smoke.probe import probe
from portal.outbound.http import ApiError
from portal.sandbox.github.rest_releases import INSTALLATION
from portal.sandbox.github.state import PORTAL_APP
from portal.sandbox.railway import RailwayStandIn
from portal.sandbox.server import Fault, Server
from tests.stand_in import github_with_the_sample


@pytest.fixture(autouse=True)
def no_waiting():
    with stamina.set_testing(True, attempts=3, cap=True):
        yield


@pytest.fixture
def hub(tmp_path):
    hub = github_with_the_sample(tmp_path / "github")
    hub.server = Server(hub).start()
    hub.url = hub.server.url
    yield hub
    hub.server.stop()
    hub.hooks.stop()


@pytest.fixture
def github(hub):
    return GitHub("acme/inspector", api_url=hub.url, token="sandbox-github-token", kept=Recent())


@pytest.fixture
def cloud(hub, tmp_path):
    cloud = RailwayStandIn(
        tmp_path / "railway",
        repository=hub.git.path,
        repository_name=hub.full_name,
        seconds_per_state=0,
    )
    for environment in ["staging", "production"]:
        cloud.add_environment(environment)
    cloud.add_service("backend", "backend")
    cloud.set_trigger("backend", "staging", "staging")
    cloud.set_trigger("backend", "production", "main")
    cloud.deploy("backend", "production", hub.heads()["main"], live=True)
    cloud.server = Server(cloud).start()
    yield cloud
    cloud.server.stop()
    cloud.stop()


@pytest.fixture
def railway(cloud):
    return Railway(token="sandbox-railway-token", api_url=f"{cloud.server.url}/graphql/v2")


def test_the_overview_shows_what_git_holds_in_one_call(hub, github):
    hub.server.requests.clear()

    found = github.overview(staging="staging", production="main")

    heads = hub.heads()
    assert len(hub.server.requests) == 1
    assert (found.staging_head, found.production_head) == (heads["staging"], heads["main"])
    assert not found.problems
    assert found.merged_pulls and found.open_pulls
    assert all(pull.checks is not None and pull.base_ref == "staging" for pull in found.open_pulls)


def test_a_release_is_opened_judged_merged_and_brought_back(hub, github):
    heads = hub.heads()
    opened = github.open_pull(head="staging", base="main", title="Release 1", body="")
    again = github.open_pull(head="staging", base="main", title="Release 1", body="")
    github.set_status(
        heads["staging"],
        context="release-portal",
        state="success",
        description="Go",
        target_url="https://p/1",
    )
    for required in github.overview(staging="staging", production="main").rules["main"].checks:
        if required.context != "release-portal":
            hub.set_check(heads["staging"], required.context)

    merged = github.merge(opened.number, sha=heads["staging"], title="Release 1")
    before = github.compare("staging", "main")
    github.fast_forward("staging", merged)

    assert again.number == opened.number
    assert github.status(heads["staging"], "release-portal").state == "success"
    assert "release-portal" in {check.name for check in github.checks(heads["staging"])}
    assert (before.status, before.behind_by) == ("ahead", 0)
    assert github.pull(opened.number).merge_commit == merged
    assert (
        github.branch_head("main") == github.branch_head("staging") == merged == hub.heads()["main"]
    )
    assert github.compare("staging", "main").status == "identical"
    assert github.find_pull(head="staging", base="main") is None
    assert github.branch_head("no-such-branch") is None


def test_refusals_of_real_git_are_told_apart(hub, github):
    heads = hub.heads()
    opened = github.open_pull(head="staging", base="main", title="Release 1", body="")
    pushed = hub.push_commit("main", {"hotfix.txt": "x"}, "Hotfix")

    with pytest.raises(ApiError) as moved:
        github.merge(opened.number, sha=heads["main"], title="Release 1")
    with pytest.raises(ApiError) as diverged:
        github.fast_forward("staging", pushed)
    with pytest.raises(ApiError) as nothing:
        github.open_pull(head="main", base="main", title="Nothing", body="")

    assert (moved.value.kind, diverged.value.kind, nothing.value.kind) == (
        "conflict",
        "conflict",
        "refused",
    )


def test_what_a_fine_grained_token_may_not_see_is_unreadable_or_replaced(hub, github):
    hub.set_check(hub.heads()["staging"], "python-ci", "completed", "failure")
    opened = github.open_pull(head="staging", base="main", title="Release 1", body="")
    hub.checks_readable = False

    found = github.overview(staging="staging", production="main")
    checks = github.checks(opened.head_sha)

    assert found.promotions[0].checks is None and found.problems
    assert ("python-ci", "failure") in {(check.name, check.state) for check in checks}


def test_a_token_github_does_not_know_is_refused(hub):
    stranger = GitHub("acme/inspector", api_url=hub.url, token="stranger", kept=Recent())
    elsewhere = GitHub("acme/other", api_url=hub.url, token="sandbox-github-token", kept=Recent())

    with pytest.raises(ApiError) as unknown:
        stranger.overview(staging="staging", production="main")
    with pytest.raises(ApiError) as hidden:
        elsewhere.overview(staging="staging", production="main")

    assert (unknown.value.kind, hidden.value.kind) == ("unauthorized", "not_found")


def test_an_unchanged_pull_request_costs_a_304(hub, github):
    opened = github.open_pull(head="staging", base="main", title="Release 1", body="")
    github.pull(opened.number)
    github.pull(opened.number)
    hub.server.requests.clear()

    assert github.pull(opened.number).number == opened.number
    assert [seen.status for seen in hub.server.requests] == [304]


def test_comments_and_deployments_are_written_and_found(hub, github):
    opened = github.open_pull(head="staging", base="main", title="Release 1", body="")
    comment = github.comment(opened.number, "<!-- portal -->\nfirst")
    github.edit_comment(comment, "<!-- portal -->\nsecond")
    deployment = github.create_deployment(
        "main", environment="production", description="x", production=True
    )
    github.deployment_status(deployment, state="success", description="live")

    found = github.find_comment(opened.number, "<!-- portal -->")

    assert (found.id, found.body) == (comment, "<!-- portal -->\nsecond")


def test_an_edit_whose_answer_was_lost_is_not_written_twice(hub, github):
    opened = github.open_pull(head="staging", base="main", title="Release 1", body="")

    def put(message: str, known: int | None = None) -> int | None:
        return comments.put(github, opened.number, "<!-- portal -->", message, known, lambda: True)

    known = put("first")
    put("second", known)  # whoever wrote this did not live to remember it
    hub.server.requests.clear()

    assert put("second", known) == known
    assert [seen.method for seen in hub.server.requests] == ["GET"]


# Railway


def test_the_project_is_read_in_one_call(cloud, railway, hub):
    cloud.server.requests.clear()

    tree = railway.project(cloud.project_id)

    production = next(found for found in tree.environments if found.name == "production")
    [instance] = production.instances
    assert len(cloud.server.requests) == 1
    assert tree.complete, tree.problems
    assert {found.name for found in tree.environments} == {"staging", "production"}
    assert production.branch_of(instance.service_id) == "main"
    assert instance.latest_deployment.commit == hub.heads()["main"]
    assert instance.latest_deployment.status == "SUCCESS"


def test_a_commit_is_deployed_watched_and_smoke_tested(cloud, railway, hub, settings):
    settings.RAILWAY_API_URL = "http://127.0.0.1:1"  # elsewhere no address on loopback is asked
    commit = hub.heads()["staging"]
    tree = railway.project(cloud.project_id)
    production = next(found for found in tree.environments if found.name == "production")
    instance = production.instances[0]

    deployment = railway.deploy_commit(production.id, instance.service_id, commit)
    until = time.monotonic() + 10
    while (seen := railway.deployment(deployment)).status != "SUCCESS" and time.monotonic() < until:
        time.sleep(0.05)
    found = probe(
        instance.domains[0].domain,
        path="/health",
        expected_status=200,
        expected_commit=commit,
        timeout=5,
    )

    assert (seen.status, seen.commit) == ("SUCCESS", commit)
    assert found.ok is True and found.commit == commit
    newest = railway.deployments(cloud.project_id, production.id, instance.service_id, 1)
    assert [listed.id for listed in newest] == [deployment]
    assert railway.build_log(deployment)


def test_settings_are_changed_and_variables_read(cloud, railway):
    cloud.set_variable("production", "backend", "URL", "postgres://secret")
    cloud.set_variable("production", "backend", "KEY", "hidden", sealed=True)
    tree = railway.project(cloud.project_id)
    production = next(found for found in tree.environments if found.name == "production")
    service = production.instances[0].service_id

    railway.set_trigger_branch(production.triggers[0].id, "staging")
    railway.set_autodeploy(cloud.project_id, production.id, service, enabled=False)
    variables = railway.variables(cloud.project_id, production.id, service, unrendered=True)

    again = railway.project(cloud.project_id)
    assert (
        next(f for f in again.environments if f.name == "production").branch_of(service)
        == "staging"
    )
    assert variables["URL"].reveal() == "postgres://secret"
    assert variables["KEY"] is None


def test_a_redeploy_and_a_rollback_bring_the_old_commit_back(cloud, railway, hub):
    first = cloud.latest("backend", "production")["id"]
    cloud.deploy("backend", "production", hub.heads()["staging"], live=True)

    redone = railway.redeploy(first)
    railway.rollback(first)

    assert railway.deployment(redone).commit == hub.heads()["main"]


@pytest.mark.parametrize("kind", ["account", "workspace", "project"])
def test_the_kind_of_a_token_is_found(cloud, kind):
    cloud.add_token("probe-token", kind, "production" if kind == "project" else None)

    report = Railway(token="probe-token", api_url=f"{cloud.server.url}/graphql/v2").token_kind()

    assert report.kind == kind


def test_a_project_token_in_the_wrong_header_is_named(cloud):
    cloud.add_token("probe-token", "project", "production")

    with pytest.raises(ApiError) as caught:
        Railway(token="probe-token", api_url=f"{cloud.server.url}/graphql/v2").project(
            cloud.project_id
        )

    assert caught.value.kind == "wrong_header"


# A GitHub App


@pytest.fixture(scope="module")
def private_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    ).decode()


def as_app(settings, private_key: str) -> None:
    settings.GITHUB_TOKEN = ""
    settings.GITHUB_APP_ID, settings.GITHUB_APP_INSTALLATION_ID = (
        str(PORTAL_APP.id),
        str(INSTALLATION),
    )
    settings.GITHUB_APP_PRIVATE_KEY = private_key.replace("\n", "\\n")


def test_an_app_fetches_one_installation_token_for_many_calls(hub, settings, private_key):
    as_app(settings, private_key)
    hub.server.requests.clear()

    for _ in range(2):
        GitHub("acme/inspector", api_url=hub.url, kept=Recent()).branch_head("main")

    asked = [seen.path for seen in hub.server.requests]
    assert [path for path in asked if path.startswith("/app")] == [
        f"/app/installations/{INSTALLATION}/access_tokens"
    ]
    assert len(asked) == 3


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault("status", status=401), "unauthorized"),
        (Fault("status", status=404), "unauthorized"),
        (Fault("status", status=503), "unavailable"),
        (Fault("drop"), "unavailable"),
        (Fault("html"), "malformed"),
        (Fault("truncated"), "malformed"),
    ],
    ids=lambda value: f"{value.kind}{value.status}" if isinstance(value, Fault) else value,
)
def test_an_app_without_a_token_says_so_and_sends_no_write(hub, settings, private_key, fault, kind):
    as_app(settings, private_key)
    hub.server.faults.append(Fault(**vars(fault) | {"times": 99, "path": "/app/installations"}))
    github = GitHub("acme/inspector", api_url=hub.url, kept=Recent())

    with pytest.raises(ApiError) as caught:
        github.comment(1, "hello")

    assert caught.value.kind == kind
    assert all(seen.path.startswith("/app") for seen in hub.server.requests)


def test_a_private_key_that_is_none_is_an_error_with_a_sentence(hub, settings):
    as_app(settings, "-----BEGIN RSA PRIVATE KEY-----\nnonsense\n-----END RSA PRIVATE KEY-----")

    with pytest.raises(ApiError, match="GITHUB_APP_PRIVATE_KEY"):
        GitHub("acme/inspector", api_url=hub.url, kept=Recent()).branch_head("main")
