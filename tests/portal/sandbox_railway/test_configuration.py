"""Variables, settings, environments: what is shown, what is copied, what deploys."""

import httpx
import pytest

VARIABLES = """query($projectId: String!, $environmentId: String!, $serviceId: String, $unrendered:
  Boolean) {
  variables(projectId: $projectId, environmentId: $environmentId, serviceId: $serviceId,
            unrendered: $unrendered) }"""
UPSERT = "mutation($input: VariableUpsertInput!) { variableUpsert(input: $input) }"
COLLECTION = (
    "mutation($input: VariableCollectionUpsertInput!) { variableCollectionUpsert(input: $input) }"
)
CREATE = (
    "mutation($input: EnvironmentCreateInput!) { environmentCreate(input: $input) { id name } }"
)
DELETE = "mutation($id: String!) { environmentDelete(id: $id) }"
PATCH = """mutation($environmentId: String!, $patch: EnvironmentConfig!) {
  environmentPatchCommit(environmentId: $environmentId, patch: $patch) }"""
READY = """query($environmentId: String!) {
  environmentStagedChanges(environmentId: $environmentId) { status }
  environment(id: $environmentId) {
    deletedAt
    deploymentTriggers(first: 10) { edges { node { branch } } }
    serviceInstances(first: 10) { edges { node { serviceName source { repo }
      domains { serviceDomains { domain } } latestDeployment { status meta } } } } } }"""
READ = "query($id: String!) { environment(id: $id) { deletedAt } }"
NAMES = """query($projectId: String!) {
  environments(projectId: $projectId) { edges { node { name } } } }"""


def shown(railway, environment="production", service="backend", **more):
    place = railway.ids(environment, service or "backend") | {"projectId": railway.project} | more
    if service is None:
        del place["serviceId"]
    return railway.ask(VARIABLES, place)["variables"]


def created(railway, name="pr-1", **more):
    source = railway.ids("staging")["environmentId"]
    input = {"projectId": railway.project, "name": name, "sourceEnvironmentId": source} | more
    return railway.ask(CREATE, {"input": input})["environmentCreate"]["id"]


def instances(railway, environment_id):
    answer = railway.ask(READY, {"environmentId": environment_id})["environment"][
        "serviceInstances"
    ]
    return {edge["node"]["serviceName"]: edge["node"] for edge in answer["edges"]}


def deployments(railway):
    return railway.standin.world.rows("deployments", **railway.ids())


def test_references_are_rendered_unless_the_text_is_asked_for(railway):
    set_variable = railway.standin.set_variable
    set_variable("production", None, "REGION", "eu")
    set_variable(
        "production", "frontend", "API_URL", "http://${{backend.RAILWAY_PUBLIC_DOMAIN}}/api"
    )
    set_variable(
        "production", "frontend", "WHERE", "${{shared.REGION}}-${{ API_URL }}-${{nobody.X}}"
    )
    address = railway.standin.address("backend", "production")

    rendered = shown(railway, service="frontend")
    raw = shown(railway, service="frontend", unrendered=True)

    assert rendered["API_URL"] == f"{address}/api"
    assert rendered["WHERE"] == f"eu-{address}/api-"
    assert raw["API_URL"] == "http://${{backend.RAILWAY_PUBLIC_DOMAIN}}/api"
    assert shown(railway, service=None) == {"REGION": "eu"}


def test_references_in_a_circle_come_out_empty(railway):
    railway.standin.set_variable("production", "backend", "A", "a${{B}}")
    railway.standin.set_variable("production", "backend", "B", "b${{A}}")

    assert shown(railway)["A"] == "aba"


def test_a_sealed_variable_is_a_present_name_without_a_value_everywhere(railway):
    railway.standin.set_variable("production", "backend", "STRIPE_KEY", "sk_live", sealed=True)
    railway.standin.set_variable("production", "backend", "COPY", "key:${{STRIPE_KEY}}")
    place = railway.ids() | {"projectId": railway.project}
    everywhere = railway.post(
        """query($projectId: String!, $environmentId: String!, $serviceId: String!) {
        variables(projectId: $projectId, environmentId: $environmentId, serviceId: $serviceId)
        variablesForServiceDeployment(projectId: $projectId, environmentId: $environmentId,
                                      serviceId: $serviceId)
        environment(id: $environmentId) { config(decryptVariables: true)
          variables { edges { node { name isSealed } } } } }""",
        place,
    )

    data = everywhere.json()["data"]

    assert data["variables"]["STRIPE_KEY"] is None
    assert {"node": {"name": "STRIPE_KEY", "isSealed": True}} in data["environment"]["variables"][
        "edges"
    ]
    assert "sk_live" not in everywhere.text
    assert railway.standin.running_variables("backend", "production")["COPY"] == "key:sk_live"


def test_writing_a_sealed_variable_keeps_its_seal(railway):
    railway.standin.set_variable("production", "backend", "STRIPE_KEY", "old", sealed=True)

    input = railway.ids() | {"projectId": railway.project, "name": "STRIPE_KEY", "value": "new"}
    railway.ask(UPSERT, {"input": input})

    assert shown(railway)["STRIPE_KEY"] is None
    assert railway.standin.running_variables("backend", "production")["STRIPE_KEY"] == "new"


def test_writing_a_variable_redeploys_unless_told_not_to(railway):
    railway.push()
    railway.settle()
    input = railway.ids() | {"projectId": railway.project, "name": "COLOUR"}

    railway.ask(UPSERT, {"input": input | {"value": "red", "skipDeploys": True}})
    quiet = len(deployments(railway))
    railway.ask(UPSERT, {"input": input | {"value": "blue"}})
    loud = len(deployments(railway))
    building = railway.refusal(UPSERT, {"input": input | {"value": "green"}})

    assert (quiet, loud) == (1, 2)
    assert building.startswith("Cannot redeploy yet")
    assert shown(railway)["COLOUR"] == "blue"


def test_a_collection_replaces_only_when_asked(railway):
    railway.standin.set_variable("production", "backend", "OLD", "1")
    input = railway.ids() | {
        "projectId": railway.project,
        "variables": {"NEW": "2"},
        "skipDeploys": True,
    }

    railway.ask(COLLECTION, {"input": input})
    merged = set(shown(railway))
    railway.ask(COLLECTION, {"input": input | {"replace": True}})

    assert {"OLD", "NEW"} <= merged
    assert "OLD" not in shown(railway)


def test_a_copy_has_services_triggers_addresses_and_all_but_sealed_variables(railway):
    railway.standin.set_variable("staging", "backend", "PLAIN", "1")
    railway.standin.set_variable("staging", "backend", "STRIPE_KEY", "sk", sealed=True)
    railway.standin.set_variable("staging", "frontend", "API", "${{backend.RAILWAY_PUBLIC_DOMAIN}}")
    id = created(railway)
    railway.settle()

    copied = instances(railway, id)
    variables = shown(railway, environment="pr-1")

    domain = copied["backend"]["domains"]["serviceDomains"][0]["domain"]
    assert set(copied) == {"backend", "frontend"}
    assert copied["backend"]["latestDeployment"]["status"] == "SUCCESS"
    assert f"http://{domain}" != railway.standin.address("backend", "staging")
    assert railway.get(environment="pr-1").json()["environment"] == "pr-1"
    assert variables["PLAIN"] == "1" and "STRIPE_KEY" not in variables
    assert shown(railway, environment="pr-1", service="frontend")["API"] == domain


def test_a_copy_can_be_made_without_deploying_and_then_be_pointed_at_another_branch(railway):
    id = created(railway, skipInitialDeploys=True)
    before = instances(railway, id)["backend"]["latestDeployment"]
    service = railway.ids()["serviceId"]
    head = railway.repository.commit("On main", branch="main")

    railway.ask(
        PATCH,
        {"environmentId": id, "patch": {"services": {service: {"source": {"branch": "main"}}}}},
    )

    after = instances(railway, id)
    assert before is None
    assert after["backend"]["latestDeployment"]["meta"]["commitHash"] == head
    assert after["frontend"]["latestDeployment"] is None


def test_an_equal_patch_deploys_nothing(railway):
    railway.push()
    railway.settle()
    place = railway.ids()
    patch = {"services": {place["serviceId"]: {"source": {"branch": "main"}}}}

    railway.ask(PATCH, {"environmentId": place["environmentId"], "patch": patch})

    assert len(deployments(railway)) == 1


def test_a_second_environment_within_the_cooldown_is_refused_and_not_made(railway):
    created(railway, "pr-1")
    input = {"projectId": railway.project, "name": "pr-2"}

    refused = railway.refusal(CREATE, {"input": input})
    railway.clock.advance(31)
    railway.ask(CREATE, {"input": input | {"name": "pr-3"}})

    edges = railway.ask(NAMES, {"projectId": railway.project})["environments"]["edges"]
    assert "too quickly" in refused and "30 seconds" in refused
    assert [edge["node"]["name"] for edge in edges] == ["production", "staging", "pr-1", "pr-3"]


def test_a_creation_can_answer_504_and_still_have_happened(railway):
    railway.standin.set_knobs(lose_answers=1)
    input = {"projectId": railway.project, "name": "pr-1"}

    answer = railway.post(CREATE, {"input": input})

    edges = railway.ask(NAMES, {"projectId": railway.project})["environments"]["edges"]
    assert answer.status_code == 504
    assert "pr-1" in [edge["node"]["name"] for edge in edges]


def test_services_of_a_new_environment_can_appear_late(railway):
    railway.standin.set_knobs(late=20)
    id = created(railway)
    early = railway.ask(READY, {"environmentId": id})

    railway.clock.advance(21)
    late = railway.ask(READY, {"environmentId": id})

    assert early["environmentStagedChanges"]["status"] == "APPLYING"
    assert early["environment"]["serviceInstances"]["edges"] == []
    assert early["environment"]["deploymentTriggers"]["edges"] == []
    assert late["environmentStagedChanges"]["status"] == "COMMITTED"
    assert len(late["environment"]["serviceInstances"]["edges"]) == 2


def test_a_staged_copy_is_there_only_once_committed(railway):
    id = created(railway, stageInitialChanges=True)
    staged = railway.ask(READY, {"environmentId": id})

    railway.ask(
        "mutation($id: String!) { environmentPatchCommitStaged(environmentId: $id, skipDeploys:"
        " true) }",
        {"id": id},
    )

    assert staged["environmentStagedChanges"]["status"] == "STAGED"
    assert staged["environment"]["serviceInstances"]["edges"] == []
    assert set(instances(railway, id)) == {"backend", "frontend"}


def test_a_deleted_environment_leaves_the_list_and_its_address_but_can_still_be_read(railway):
    id = created(railway)
    address = railway.standin.address("backend", "pr-1")
    assert railway.ask(DELETE, {"id": id}) == {"environmentDelete": True}

    again = railway.refusal(DELETE, {"id": id})

    edges = railway.ask(NAMES, {"projectId": railway.project})["environments"]["edges"]
    assert "pr-1" not in [edge["node"]["name"] for edge in edges]
    assert railway.ask(READ, {"id": id})["environment"]["deletedAt"]
    assert again == "Not Authorized"
    with pytest.raises(httpx.TransportError):
        httpx.get(address)


def test_only_one_pre_deploy_command_is_taken_and_it_reads_back_as_a_list(railway):
    update = """mutation($environmentId: String!, $serviceId: String!, $input:
    ServiceInstanceUpdateInput!) {
      serviceInstanceUpdate(environmentId: $environmentId, serviceId: $serviceId, input: $input)
      }"""

    two = railway.refusal(update, railway.ids() | {"input": {"preDeployCommand": ["a", "b"]}})
    railway.ask(update, railway.ids() | {"input": {"preDeployCommand": ["a && b"]}})

    read = railway.ask(
        """query($environmentId: String!, $serviceId: String!) {
        serviceInstance(environmentId: $environmentId, serviceId: $serviceId) { preDeployCommand }
        }""",
        railway.ids(),
    )
    assert two == "Error in preDeployCommand - Invalid input"
    assert read["serviceInstance"]["preDeployCommand"] == ["a && b"]


def test_a_second_domain_is_a_second_address_and_goes_when_deleted(railway):
    railway.push()
    railway.settle()
    made = railway.ask(
        "mutation($input: ServiceDomainCreateInput!) { serviceDomainCreate(input: $input) { id"
        " domain } }",
        {"input": railway.ids()},
    )["serviceDomainCreate"]
    served = httpx.get(f"http://{made['domain']}/health").status_code

    railway.ask("mutation($id: String!) { serviceDomainDelete(id: $id) }", {"id": made["id"]})

    assert served == 200
    assert f"http://{made['domain']}" != railway.standin.address("backend", "production")
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://{made['domain']}/health")
