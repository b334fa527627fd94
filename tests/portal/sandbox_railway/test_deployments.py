"""Deployments: from a push to a live address, and the ways in which that goes wrong."""

import pytest

DEPLOY = """mutation($environmentId: String!, $serviceId: String!, $commitSha: String) {
  serviceInstanceDeployV2(environmentId: $environmentId, serviceId: $serviceId, commitSha:
  $commitSha) }"""
INSTANCE = """query($environmentId: String!, $serviceId: String!) {
  serviceInstance(environmentId: $environmentId, serviceId: $serviceId) {
    latestDeployment { id status deploymentStopped meta instances { status } }
    activeDeployments { id status meta } } }"""
LIST = """query($input: DeploymentListInput!, $first: Int, $after: String) {
  deployments(input: $input, first: $first, after: $after) {
    edges { node { id status canRollback meta } } pageInfo { hasNextPage endCursor } } }"""
ROLL_BACK = "mutation($id: String!) { deploymentRollback(id: $id) }"


def instance(railway, **place):
    return railway.ask(INSTANCE, railway.ids(**place))["serviceInstance"]


def listed(railway, **wanted):
    answer = railway.ask(LIST, {"input": railway.ids() | wanted})
    return [edge["node"] for edge in answer["deployments"]["edges"]]


def test_a_push_to_a_followed_branch_goes_live_at_the_services_address(railway):
    after = railway.push("Ship it")
    railway.settle()

    answer = railway.get("/health")

    assert answer.status_code == 200
    assert answer.headers["X-Commit"] == after
    assert answer.json() == {
        "status": "ok",
        "service": "backend",
        "environment": "production",
        "commit": after,
    }


def test_a_push_deploys_only_where_its_branch_is_followed(railway):
    railway.push(branch="main")

    assert instance(railway, environment="staging")["latestDeployment"] is None
    assert instance(railway, service="frontend")["latestDeployment"]["status"] == "QUEUED"


def test_a_push_told_twice_deploys_once(railway):
    before = railway.push("One")
    after = railway.push("Two")

    railway.standin.pushed("main", before, after)

    assert len(listed(railway)) == 2


def test_a_deployment_passes_through_its_states_by_the_clock(railway):
    railway.push()
    seen = [instance(railway)["latestDeployment"]["status"]]

    for _ in range(3):
        railway.clock.advance(0.5)
        seen.append(instance(railway)["latestDeployment"]["status"])

    assert seen == ["QUEUED", "BUILDING", "DEPLOYING", "SUCCESS"]


def test_its_container_runs_before_it_is_a_success_and_it_counts_as_stopped_until_then(railway):
    railway.push()
    railway.clock.advance(1.0)

    starting = instance(railway)["latestDeployment"]

    assert starting["status"] == "DEPLOYING"
    assert starting["instances"] == [{"status": "RUNNING"}]
    assert starting["deploymentStopped"] is True


def test_its_meta_names_commit_branch_repository_and_message(railway):
    after = railway.push("Say why")

    meta = instance(railway)["latestDeployment"]["meta"]

    assert meta["commitHash"] == after
    assert (meta["branch"], meta["repo"]) == ("main", "acme/inspector")
    assert (meta["commitMessage"], meta["commitAuthor"]) == ("Say why", "Ada")


def test_the_one_before_serves_until_the_new_one_is_up_and_is_then_removed(railway):
    old = railway.push("Old")
    railway.settle()
    new = railway.push("New")

    while_building = railway.get().json()["commit"]
    railway.settle()

    assert while_building == old
    assert railway.get().json()["commit"] == new
    assert [row["status"] for row in listed(railway)] == ["SUCCESS", "REMOVED"]


def test_a_failed_one_leaves_the_older_one_active(railway):
    old = railway.push("Old")
    railway.settle()
    railway.standin.fail_next("backend", "production")
    railway.push("Bad")
    railway.settle()

    state = instance(railway)

    assert state["latestDeployment"]["status"] == "FAILED"
    assert [row["meta"]["commitHash"] for row in state["activeDeployments"]] == [old]
    assert railway.get().json()["commit"] == old


def test_one_that_crashes_after_success_takes_its_address_down(railway):
    railway.push("Good")
    railway.settle()
    railway.standin.fail_next("backend", "production", "CRASHED")
    railway.push("Bad")
    railway.settle()

    assert instance(railway)["latestDeployment"]["status"] == "CRASHED"
    assert railway.get().status_code == 503


def test_nothing_live_answers_503(railway):
    assert railway.get().status_code == 503


@pytest.mark.parametrize("path", ["/", "/version", "/signals", "/signals/1", "/settings"])
def test_every_page_names_service_environment_and_commit(railway, path):
    after = railway.push()
    railway.settle()

    page = railway.get(path).text

    assert all(word in page for word in ("backend", "production", after))


def test_a_broken_path_answers_what_was_asked_until_mended(railway):
    railway.push()
    railway.settle()
    railway.standin.break_path("backend", "production", "/signals", 500)

    broken = railway.get("/signals").status_code, railway.get("/health").status_code
    railway.standin.break_path("backend", "production", "/signals", None)

    assert broken == (500, 200)
    assert railway.get("/signals").status_code == 200


def test_a_skipped_push_leaves_a_skipped_deployment_and_is_never_retried(railway):
    railway.standin.skip_next("backend", "production")
    railway.push()
    railway.settle()

    assert instance(railway)["latestDeployment"]["status"] == "SKIPPED"
    assert instance(railway, service="frontend")["latestDeployment"]["status"] == "SUCCESS"


def test_a_push_can_leave_no_deployment_at_all(railway):
    railway.standin.never_next("backend", "production")
    railway.push()
    railway.settle()

    assert instance(railway)["latestDeployment"] is None


def test_a_push_that_touches_no_watched_path_is_skipped(railway):
    update = """mutation($environmentId: String!, $serviceId: String!, $input:
    ServiceInstanceUpdateInput!) {
      serviceInstanceUpdate(environmentId: $environmentId, serviceId: $serviceId, input: $input)
      }"""
    railway.ask(update, railway.ids() | {"input": {"watchPatterns": ["/backend/**"]}})
    railway.push(path="frontend/page.html")
    first = instance(railway)["latestDeployment"]["status"]
    railway.push(path="backend/app.py")

    assert first == "SKIPPED"
    assert instance(railway)["latestDeployment"]["status"] == "QUEUED"


def test_a_switched_off_auto_deploy_ignores_pushes(railway):
    switch = """mutation($input: ServiceInstanceAutoDeployUpdateInput!) {
      serviceInstanceAutoDeployUpdate(input: $input) { enabled } }"""
    railway.ask(switch, {"input": railway.ids() | {"projectId": railway.project, "enabled": False}})

    railway.push()

    assert instance(railway)["latestDeployment"] is None


def test_a_commit_is_deployed_on_request_and_an_unknown_one_is_refused(railway):
    commit = railway.repository.commit("Wanted")
    made = railway.ask(DEPLOY, railway.ids() | {"commitSha": commit})["serviceInstanceDeployV2"]

    refused = railway.refusal(DEPLOY, railway.ids() | {"commitSha": "f" * 40})

    assert refused == "Commit not found"
    assert [(row["id"], row["meta"]["commitHash"]) for row in listed(railway)] == [(made, commit)]


def test_a_deploy_without_a_commit_takes_the_associated_one_not_the_head(railway):
    old = railway.push("Old")
    railway.settle()
    railway.repository.commit("Newer, told to nobody")

    railway.ask(DEPLOY, railway.ids())

    assert instance(railway)["latestDeployment"]["meta"]["commitHash"] == old


def test_the_branch_head_is_deployed_when_the_latest_commit_is_asked_for(railway):
    railway.push("Old")
    head = railway.repository.commit("Newer, told to nobody")

    railway.ask(
        """mutation($environmentId: String!, $serviceId: String!) {
        serviceInstanceDeploy(environmentId: $environmentId, serviceId: $serviceId, latestCommit:
        true) }""",
        railway.ids(),
    )

    assert instance(railway)["latestDeployment"]["meta"]["commitHash"] == head


def test_a_rollback_brings_back_the_old_commit_with_the_variables_of_then(railway):
    railway.standin.set_variable("production", "backend", "COLOUR", "red")
    old = railway.push("Old")
    railway.settle()
    railway.standin.set_variable("production", "backend", "COLOUR", "blue")
    railway.push("New")
    railway.settle()
    target = listed(railway)[-1]

    assert railway.ask(ROLL_BACK, {"id": target["id"]}) == {"deploymentRollback": True}
    railway.settle()

    rows = listed(railway)
    assert target["canRollback"] is True
    assert (len(rows), rows[0]["status"], rows[0]["meta"]["commitHash"]) == (3, "SUCCESS", old)
    assert railway.get().json()["commit"] == old
    assert railway.standin.running_variables("backend", "production")["COLOUR"] == "red"


def test_what_never_came_up_or_is_too_old_cannot_be_rolled_back_to(railway):
    railway.standin.fail_next("backend", "production")
    railway.push("Bad")
    railway.settle()
    railway.push("Old")
    railway.settle()
    railway.push("New")
    railway.settle()
    _, old, bad = listed(railway)

    railway.clock.advance(121 * 3600)

    assert (old["canRollback"], bad["canRollback"]) == (True, False)
    assert railway.refusal(ROLL_BACK, {"id": old["id"]}) == "Deployment cannot be rolled back"


def test_a_redeploy_runs_the_same_commit_and_waits_for_one_that_is_building(railway):
    redeploy = "mutation($id: String!) { deploymentRedeploy(id: $id) { id status meta } }"
    commit = railway.push()
    building = railway.refusal(redeploy, {"id": instance(railway)["latestDeployment"]["id"]})
    railway.settle()

    again = railway.ask(redeploy, {"id": instance(railway)["latestDeployment"]["id"]})[
        "deploymentRedeploy"
    ]

    assert (
        building
        == "Cannot redeploy yet, please wait for the original deployment to finish building"
    )
    assert (again["status"], again["meta"]["commitHash"]) == ("QUEUED", commit)


def test_one_that_waits_for_approval_goes_on_when_approved(railway):
    railway.standin.fail_next("backend", "production", "NEEDS_APPROVAL")
    railway.push()
    railway.settle()
    waiting = instance(railway)["latestDeployment"]

    railway.ask("mutation($id: String!) { deploymentApprove(id: $id) }", {"id": waiting["id"]})
    railway.settle()

    assert waiting["status"] == "NEEDS_APPROVAL"
    assert instance(railway)["latestDeployment"]["status"] == "SUCCESS"


def test_a_stopped_one_keeps_its_success_but_serves_nothing(railway):
    railway.push()
    railway.settle()
    id = instance(railway)["latestDeployment"]["id"]

    railway.ask("mutation($id: String!) { deploymentStop(id: $id) }", {"id": id})
    stopped, page = instance(railway)["latestDeployment"], railway.get().status_code
    railway.ask("mutation($id: String!) { deploymentRestart(id: $id) }", {"id": id})

    assert (stopped["status"], stopped["deploymentStopped"], page) == ("SUCCESS", True, 503)
    assert railway.get().status_code == 200


def test_an_older_one_that_comes_up_late_does_not_replace_a_newer_one(railway):
    railway.standin.fail_next("backend", "production", "BUILDING")
    railway.push("Old")
    old = instance(railway)["latestDeployment"]["id"]
    new = railway.push("New")
    railway.settle()

    railway.standin.finish(old, "SUCCESS")

    assert railway.get().json()["commit"] == new
    assert [row["status"] for row in listed(railway)] == ["SUCCESS", "REMOVED"]


def test_frozen_states_stand_still_and_then_go_on(railway):
    railway.push()
    railway.standin.freeze()
    railway.clock.advance(60)
    frozen = instance(railway)["latestDeployment"]["status"]

    railway.standin.unfreeze()
    railway.clock.advance(0.5)

    assert (frozen, instance(railway)["latestDeployment"]["status"]) == ("QUEUED", "BUILDING")


def test_deployments_are_paged_and_filtered_newest_first(railway):
    shas = [railway.push(f"Commit {number}") for number in range(3)]
    railway.settle()
    wanted = {"input": railway.ids(), "first": 2}

    first = railway.ask(LIST, wanted)["deployments"]
    rest = railway.ask(LIST, wanted | {"after": first["pageInfo"]["endCursor"]})["deployments"]

    nodes = [edge["node"] for edge in first["edges"] + rest["edges"]]
    assert [node["meta"]["commitHash"] for node in nodes] == shas[::-1]
    assert (first["pageInfo"]["hasNextPage"], rest["pageInfo"]["hasNextPage"]) == (True, False)
    assert len(listed(railway, status={"in": ["SUCCESS"]})) == 1
    assert len(listed(railway, status={"notIn": ["SUCCESS"]})) == 2


def test_the_steps_of_a_failed_build_end_with_what_went_wrong(railway):
    railway.standin.fail_next("backend", "production")
    railway.push()
    railway.settle()
    id = instance(railway)["latestDeployment"]["id"]

    answer = railway.ask(
        """query($id: String!) {
        deploymentEvents(id: $id, first: 50) { edges { node { step payload { error } } } }
        buildLogs(deploymentId: $id) { message severity } }""",
        {"id": id},
    )

    steps = [edge["node"] for edge in answer["deploymentEvents"]["edges"]]
    assert steps[-1]["payload"]["error"].startswith("Build failed")
    assert answer["buildLogs"][-1]["severity"] == "error"


def test_moving_a_trigger_deploys_nothing_until_the_next_push(railway):
    triggers = railway.ask(
        """query($projectId: String!, $environmentId: String!, $serviceId: String!) {
        deploymentTriggers(projectId: $projectId, environmentId: $environmentId, serviceId:
        $serviceId) {
          edges { node { id } } } }""",
        railway.ids() | {"projectId": railway.project},
    )
    move = """mutation($id: String!, $input: DeploymentTriggerUpdateInput!) {
      deploymentTriggerUpdate(id: $id, input: $input) { branch } }"""
    id = triggers["deploymentTriggers"]["edges"][0]["node"]["id"]
    refused = railway.refusal(
        move, {"id": id, "input": {"branch": "staging", "rootDirectory": "/"}}
    )
    railway.ask(move, {"id": id, "input": {"branch": "staging"}})
    at_once = instance(railway)["latestDeployment"]

    after = railway.push(branch="staging")

    assert (refused, at_once) == ("Problem processing request", None)
    assert instance(railway)["latestDeployment"]["meta"]["commitHash"] == after
