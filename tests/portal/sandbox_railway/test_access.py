"""Tokens, errors as Railway words them, limits and faults."""

import httpx
import pytest

from portal.sandbox.server import Fault

ME = "{ me { id } }"
API_TOKEN = "{ apiToken { workspaces { id } } }"
PROJECT_TOKEN = "{ projectToken { projectId environmentId } }"
PROJECT = "query($id: String!) { project(id: $id) { name } }"
CREATE = "mutation($input: EnvironmentCreateInput!) { environmentCreate(input: $input) { id } }"
DEPLOYMENTS = """query($input: DeploymentListInput!) {
  deployments(input: $input) { edges { node { id } } } }"""


def bound(railway):
    railway.standin.add_token("bound", "project", "production")
    return {"Project-Access-Token": "bound"}


def test_each_kind_of_token_is_told_by_its_probe(railway):
    railway.standin.add_token("team", "workspace")

    account = railway.ask(ME)["me"]["id"]
    workspace = railway.ask(API_TOKEN, token="team")["apiToken"]["workspaces"]
    project = railway.ask(PROJECT_TOKEN, headers=bound(railway))["projectToken"]

    assert account and len(workspace) == 1
    assert project["environmentId"] == railway.ids()["environmentId"]
    assert railway.refusal(ME, token="team") == "Not Authorized"
    assert railway.refusal(API_TOKEN, headers=bound(railway)) == "Not Authorized"


def test_a_token_in_the_wrong_header_is_not_found(railway):
    bound(railway)

    assert railway.refusal(PROJECT_TOKEN, token="bound") == "Project Token not found"
    assert (
        railway.refusal(ME, headers={"Project-Access-Token": "nonsense"})
        == "Project Token not found"
    )


def test_an_unknown_or_missing_token_is_not_authorized(railway):
    assert railway.refusal(PROJECT, {"id": railway.project}, token="nonsense") == "Not Authorized"
    assert railway.refusal(PROJECT, {"id": railway.project}, headers={}) == "Not Authorized"


def test_what_does_not_exist_reads_like_what_is_denied(railway):
    assert railway.refusal(PROJECT, {"id": "no such project"}) == "Not Authorized"


def test_a_project_token_sees_only_its_own_environment_and_may_not_make_one(railway):
    railway.push(branch="staging")
    railway.push(branch="main")
    headers = bound(railway)
    sibling, own = railway.ids("staging"), railway.ids("production")

    theirs = railway.ask(DEPLOYMENTS, {"input": sibling}, headers=headers)["deployments"]["edges"]
    ours = railway.ask(DEPLOYMENTS, {"input": own}, headers=headers)["deployments"]["edges"]
    redeploy = "mutation($id: String!) { deploymentRedeploy(id: $id) { id } }"

    assert (len(theirs), len(ours)) == (0, 1)
    input = {"projectId": railway.project, "name": "pr-1"}
    assert railway.refusal(CREATE, {"input": input}, headers=headers) == "Not Authorized"
    assert (
        railway.refusal(redeploy, {"id": ours[0]["node"]["id"]}, headers=headers)
        == "Not Authorized"
    )


def test_projects_are_listed_only_with_the_workspace_named(railway):
    query = "query($id: String) { projects(workspaceId: $id) { edges { node { id } } } }"
    workspace = railway.ask(API_TOKEN)["apiToken"]["workspaces"][0]["id"]

    without = railway.ask(query)["projects"]["edges"]
    named = railway.ask(query, {"id": workspace})["projects"]["edges"]

    assert (without, named) == ([], [{"node": {"id": railway.project}}])


def test_introspection_needs_no_token(railway):
    assert railway.ask("{ __schema { queryType { name } } }", headers={})


def test_a_bad_document_or_value_is_a_400_with_its_code(railway):
    answers = [railway.post("{ nonsense }"), railway.post("{"), railway.post(PROJECT, {})]

    codes = [answer.json()["errors"][0]["extensions"]["code"] for answer in answers]
    assert [answer.status_code for answer in answers] == [400, 400, 400]
    assert codes == ["GRAPHQL_VALIDATION_FAILED", "GRAPHQL_PARSE_FAILED", "BAD_USER_INPUT"]


def test_a_refused_mutation_changes_nothing(railway):
    input = railway.ids() | {"projectId": railway.project, "name": "A", "value": "1"}

    railway.refusal(
        "mutation($input: VariableUpsertInput!) { variableUpsert(input: $input) }",
        {"input": input},
        token="x",
    )

    assert railway.standin.world.rows("variables") == []


def test_the_budget_is_counted_down_and_ends_in_429(railway):
    railway.standin.set_knobs(rate_limit=2)

    answers = [railway.post(API_TOKEN) for _ in range(3)]

    assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == ["1", "0", "0"]
    assert (answers[2].status_code, answers[2].headers["Retry-After"]) == (429, "3600")
    railway.clock.advance(3601)
    assert railway.post(API_TOKEN).status_code == 200


def test_an_answer_lost_on_the_way_leaves_one_deployment(railway):
    commit = railway.repository.commit("Once")
    mutation = """mutation($environmentId: String!, $serviceId: String!, $sha: String) {
      serviceInstanceDeployV2(environmentId: $environmentId, serviceId: $serviceId, commitSha:
      $sha) }"""
    railway.server.faults.append(Fault("drop", body="serviceInstanceDeployV2"))

    with pytest.raises(httpx.TransportError):
        railway.post(mutation, railway.ids() | {"sha": commit})

    assert len(railway.standin.world.rows("deployments")) == 1


def test_a_story_can_be_told_from_another_process(railway):
    url = f"{railway.server.url}/_sandbox/story"
    told = httpx.post(
        url, json=[{"do": "fail_next", "service": "backend", "environment": "production"}]
    )
    wrong = httpx.post(url, json=[{"do": "stop"}])
    railway.push()
    railway.settle()

    assert (told.status_code, wrong.status_code) == (200, 400)
    assert railway.standin.latest("backend", "production")["status"] == "FAILED"
