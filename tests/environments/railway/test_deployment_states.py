"""What Railway's words for deployments and containers mean: every one that its schema knows, and
one it does not.
"""

from pathlib import Path

import pytest
from graphql import build_schema

from environments.railway.deployment_states import FAIL, PASS, PENDING, running

# Every DeploymentStatus.
DEPLOYMENTS = {
    "BUILDING": PENDING,
    "CRASHED": FAIL,
    "DEPLOYING": PENDING,
    "FAILED": FAIL,
    "INITIALIZING": PENDING,
    "NEEDS_APPROVAL": PENDING,
    "QUEUED": PENDING,
    "REMOVED": FAIL,
    "REMOVING": PENDING,
    "SKIPPED": FAIL,
    "SLEEPING": PASS,
    "SUCCESS": PASS,
    "WAITING": PENDING,
}
# Every DeploymentInstanceStatus, if all containers of a deployment that succeeded are so: always,
# asleep, scheduled.
CONTAINERS = {
    "CRASHED": (FAIL, FAIL, FAIL),
    "CREATED": (PENDING, PENDING, PENDING),
    "EXITED": (FAIL, PASS, PASS),
    "INITIALIZING": (PENDING, PENDING, PENDING),
    "REMOVED": (FAIL, PASS, PASS),
    "REMOVING": (FAIL, PASS, PASS),
    "RESTARTING": (PENDING, PENDING, PENDING),
    "RUNNING": (PASS, PASS, PASS),
    "SKIPPED": (FAIL, PASS, PASS),
    "STOPPED": (FAIL, PASS, PASS),
}


def state(status="SUCCESS", *containers, stopped=False, scheduled=False):
    return running(status, stopped=stopped, containers=containers, scheduled=scheduled)[0]


@pytest.mark.parametrize(("status", "wanted"), DEPLOYMENTS.items())
def test_every_status_of_a_deployment_is_judged(status, wanted):
    assert state(status) == state(status, scheduled=True) == wanted


@pytest.mark.parametrize(("container", "wanted"), CONTAINERS.items())
def test_a_success_whose_containers_are_all_down_is_none(container, wanted):
    always = state("SUCCESS", container, container)
    asleep = state("SLEEPING", container, stopped=True)
    scheduled = state("SUCCESS", container, stopped=True, scheduled=True)

    assert (always, asleep, scheduled) == wanted
    assert state("SUCCESS", container, "RUNNING") == PASS, "one that runs answers"


def test_what_is_stopped_is_not_live_unless_it_is_scheduled_and_new_words_are_never_a_pass():
    assert (state(stopped=True), state(stopped=True, scheduled=True)) == (FAIL, PASS)
    assert (state("TELEPORTING"), state("SUCCESS", "TELEPORTING"), state("")) == (
        FAIL,
        PENDING,
        FAIL,
    )


def test_the_words_name_what_is_wrong():
    message = running("SUCCESS", stopped=False, containers=["CRASHED", "EXITED"], what="at 1a2b3c4")

    assert message == (FAIL, "has no running container at 1a2b3c4 (crashed, exited)")


SHARED = Path(__file__).resolve().parents[3] / ".." / "shared" / "railway" / "schema.graphql"


@pytest.mark.official
@pytest.mark.skipif(
    not SHARED.exists(), reason="../shared/railway, Railway's own schema, is missing here"
)
def test_these_are_all_the_words_that_railway_has():
    official = build_schema(SHARED.read_text(), assume_valid=True).type_map

    assert set(DEPLOYMENTS) == set(official["DeploymentStatus"].values)
    assert set(CONTAINERS) == set(official["DeploymentInstanceStatus"].values)
