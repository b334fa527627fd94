"""Services that are no code of the released repository, or do not run all the time, as the
stand-in shows them.
"""

import pytest
from graphql import build_schema

from portal.sandbox.railway.deployment_queries import CONTAINERS
from tests.portal.sandbox_railway.test_official import SHARED

INSTANCE = """query ($environmentId: String!, $serviceId: String!) {
  serviceInstance(environmentId: $environmentId, serviceId: $serviceId) {
    source { repo image } watchPatterns cronSchedule sleepApplication
    latestDeployment { id status deploymentStopped meta instances { status } } activeDeployments {
    id }
  }
}"""


def look(railway, service, environment="production"):
    return railway.ask(INSTANCE, railway.ids(environment, service))["serviceInstance"]


def test_an_image_has_no_commit_and_keeps_its_volume_in_a_copy(railway):
    railway.standin.add_service("Postgres", image="postgres:17", volume="/data", public=False)
    railway.standin.deploy("Postgres", "production")
    railway.settle()

    seen = look(railway, "Postgres")

    assert seen["source"] == {"repo": None, "image": "postgres:17"}
    assert seen["latestDeployment"]["status"] == "SUCCESS"
    assert seen["latestDeployment"]["meta"] == {"image": "postgres:17", "reason": "deploy"}
    make = (
        "mutation ($p: String!, $s: String!) { environmentCreate(input: {projectId: $p, name:"
        ' "pr-1", sourceEnvironmentId: $s, ephemeral: true}) { id } }'
    )
    railway.ask(make, {"p": railway.project, "s": railway.ids()["environmentId"]})
    railway.settle()
    copy = railway.standin._instance("Postgres", "pr-1")
    assert list(copy["volumeMounts"].values()) == [{"mountPath": "/data"}]
    assert look(railway, "Postgres", "pr-1")["latestDeployment"]["status"] == "SUCCESS"


def test_what_was_uploaded_has_neither_commit_nor_image_and_is_not_deployed_in_a_copy(railway):
    railway.standin.add_service("importer", repository=None)
    railway.standin.deploy("importer", "production", live=True)

    seen = look(railway, "importer")

    assert seen["source"] is None and "commitHash" not in seen["latestDeployment"]["meta"]
    railway.standin.add_environment("empty")
    deploy = (
        "mutation ($environmentId: String!, $serviceId: String!) { serviceInstanceDeployV2("
        "environmentId: $environmentId, serviceId: $serviceId) }"
    )
    assert railway.refusal(deploy, railway.ids("empty", "importer")) == "Deployment not found"


def test_a_scheduled_service_is_stopped_when_its_run_is_over_and_each_run_deploys_the_same_commit(
    railway,
):
    railway.standin.add_service("nightly", cronSchedule="0 3 * * *", public=False)
    railway.standin.set_trigger("nightly", "production", "main")
    head = railway.push("Next")
    railway.settle()
    first = look(railway, "nightly")["latestDeployment"]

    railway.standin.run_scheduled("nightly", "production")
    railway.settle()

    second = look(railway, "nightly")["latestDeployment"]
    assert first["id"] != second["id"]
    assert [one["meta"]["commitHash"] for one in (first, second)] == [head, head]
    assert (second["status"], second["deploymentStopped"]) == ("SUCCESS", True)
    assert second["instances"] == [{"status": "EXITED"}]


def test_a_serverless_service_falls_asleep_wakes_when_asked_and_falls_asleep_again(railway):
    railway.standin.add_service("web", sleepApplication=True)
    railway.standin.set_trigger("web", "production", "main")
    railway.push("Next")
    railway.settle()

    asleep = look(railway, "web")["latestDeployment"]
    answered = railway.get(service="web").status_code
    awake = look(railway, "web")["latestDeployment"]["status"]
    railway.settle()

    assert (asleep["status"], asleep["instances"]) == ("SLEEPING", [{"status": "STOPPED"}])
    assert (answered, awake) == (200, "SUCCESS")
    assert look(railway, "web")["latestDeployment"]["status"] == "SLEEPING"


def test_a_service_of_another_repository_follows_that_and_nothing_here(railway):
    railway.standin.add_service("website", repository="acme/website")
    railway.standin.set_trigger("website", "production", "main")
    railway.standin.push_elsewhere("acme/website", "main", "c" * 40)
    railway.settle()

    railway.push("Next")
    railway.settle()

    meta = look(railway, "website")["latestDeployment"]["meta"]
    assert (meta["commitHash"], meta["repo"]) == ("c" * 40, "acme/website")


@pytest.mark.parametrize(
    ("patterns", "path", "deploys"),
    [
        (["/backend/**"], "frontend/index.html", False),
        (["/backend/**"], "backend/app.py", True),
        (["backend/"], "backend/deep/app.py", True),
        (["*.py"], "backend/deep/app.py", True),
        (["/backend/**", "!*.md"], "backend/README.md", False),
        (["!*.md"], "backend/app.py", True),
    ],
)
def test_a_push_deploys_what_watches_the_paths_that_it_touches(railway, patterns, path, deploys):
    railway.standin.add_service("web", watchPatterns=patterns)
    railway.standin.add_service("quiet", watchPatterns=patterns, quiet=True)
    for service in ("web", "quiet"):
        railway.standin.set_trigger(service, "production", "main")

    railway.push("Next", path=path)
    railway.settle()

    assert look(railway, "web")["latestDeployment"]["status"] == (
        "SUCCESS" if deploys else "SKIPPED"
    )
    assert (look(railway, "quiet")["latestDeployment"] is not None) == deploys


@pytest.mark.official
@pytest.mark.skipif(
    not SHARED.exists(), reason="../shared/railway, Railway's own schema, is missing here"
)
def test_a_story_can_put_containers_into_every_state_that_railway_knows(railway):
    states = sorted(
        build_schema((SHARED / "schema.graphql").read_text())
        .type_map["DeploymentInstanceStatus"]
        .values
    )
    railway.standin.deploy("backend", "production", railway.repository.commit("Next"), live=True)

    railway.standin.set_containers("backend", "production", *states)

    shown = [one["status"] for one in look(railway, "backend")["latestDeployment"]["instances"]]
    assert shown == states and set(CONTAINERS.values()) <= set(states)
