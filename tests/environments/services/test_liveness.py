"""Which services a release waits for, and whether each is as it should be."""

from datetime import UTC, datetime, timedelta

import pytest

from environments.models import Deployment, Environment, Service, ServiceInstance
from environments.railway.deployment_states import FAIL, PASS, PENDING
from environments.services.expected import meant
from environments.services.liveness import live_of, liveness
from environments.services.roles import Role
from environments.services.watching import watched

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
OLD, NEW, REPOSITORY = "a" * 40, "b" * 40, "acme/inspector"


def instance(belongs=None, **values) -> ServiceInstance:
    known = {
        "repository": "Acme/Inspector",
        "seen_at": NOW,
        "environment": Environment(name="production"),
    }
    return ServiceInstance(service=Service(name="web", belongs=belongs), **(known | values))


def deployment(commit=NEW, status="SUCCESS", id="d1", **values) -> Deployment:
    known = {"is_latest": True, "is_active": True, "containers": ["RUNNING"]}
    return Deployment(railway_id=id, commit=commit, status=status, **(known | values))


def judged(row, *deployments, commit=NEW):
    return liveness(live_of(row, deployments, REPOSITORY), commit, since=NOW - timedelta(minutes=2))


@pytest.mark.parametrize(
    ("values", "commit", "role", "counts"),
    [
        ({}, NEW, Role.CODE, True),
        ({"repository": "acme/website"}, NEW, Role.ELSEWHERE, False),
        ({"repository": "", "image": "postgres:17"}, "", Role.IMAGE, False),
        ({"repository": "", "image": ""}, "", Role.UPLOADED, False),
        ({"repository": "", "image": ""}, NEW, Role.CODE, True),
        ({"image": "postgres:17"}, NEW, Role.CODE, True),
    ],
)
def test_a_release_waits_for_what_is_built_from_its_repository_unless_people_say_otherwise(
    values, commit, role, counts
):
    live = live_of(instance(**values), [deployment(commit)], REPOSITORY)

    assert (live.role, live.counts) == (role, counts)
    message = [
        live_of(instance(belongs=word, **values), [deployment(commit)], REPOSITORY).counts
        for word in (True, False)
    ]
    assert message == [True, False]


def test_an_empty_service_is_no_part_of_a_release():
    live = live_of(instance(repository=""), [], REPOSITORY)

    assert (live.role, live.counts, live.at_commits) == (Role.EMPTY, False, False)


def watching(**known):
    unchanged = {"serves": OLD, "by": [["/web/**"], "", ""], "at": known}
    return instance(watch_patterns=["/web/**"], unchanged=unchanged)


@pytest.mark.parametrize(
    ("known", "latest", "state", "words"),
    [
        ({NEW: ""}, {"status": "SKIPPED"}, PASS, "nothing it watches changed since"),
        ({NEW: ""}, None, PASS, "nothing it watches changed since"),
        ({NEW: "web/index.html"}, {"status": "SKIPPED"}, FAIL, "is not live"),
        ({NEW: "web/index.html"}, None, FAIL, "although web/index.html changed"),
        ({}, {"status": "SKIPPED"}, PENDING, "is being read"),
        ({}, None, PENDING, "is being read"),
        ({NEW: ""}, {"status": "FAILED"}, FAIL, "is not live"),
        ({NEW: ""}, {"status": "BUILDING"}, PENDING, "is deploying"),
        ({NEW: ""}, {"status": "NEEDS_APPROVAL"}, PENDING, "waits for an approval"),
    ],
)
def test_a_service_that_watches_paths_may_stay_where_nothing_of_its_changed(
    known, latest, state, words
):
    serving = deployment(OLD, id="old", is_latest=latest is None)
    newer = [deployment(NEW, is_active=False, containers=[], **latest)] if latest else []

    found = judged(watching(**known), serving, *newer)

    assert found[0] == state and words in found[1]


def test_a_later_push_that_was_skipped_takes_nothing_away_from_what_is_served():
    later = deployment("c" * 40, "SKIPPED", id="later", is_active=False, containers=[])
    serving = deployment(is_latest=False)

    assert judged(instance(), serving, later) == (PASS, f"live at {NEW[:7]}")
    assert judged(instance(), deployment(is_latest=False, stopped=True), later)[0] == FAIL
    assert judged(instance(), serving, later, commit=OLD)[0] == FAIL


@pytest.mark.parametrize(
    "spoilt", [{"containers": ["CRASHED"]}, {"stopped": True}, {"status": "CRASHED"}]
)
def test_what_stays_behind_must_be_up_itself(spoilt):
    assert judged(watching(**{NEW: ""}), deployment(OLD, **spoilt))[0] != PASS


def test_what_git_said_of_another_commit_or_other_patterns_does_not_count():
    row = watching(**{NEW: ""})

    row.unchanged["serves"] = NEW
    assert judged(row, deployment(OLD))[0] == PENDING
    row.unchanged |= {"serves": OLD, "by": [["/api/**"], "", ""]}
    assert judged(row, deployment(OLD))[0] == PENDING


@pytest.mark.parametrize(
    ("newest", "state"),
    [
        ({"stopped": True, "containers": ["EXITED"], "is_active": False}, PASS),
        ({"status": "BUILDING", "is_active": False}, PENDING),
        ({"stopped": True, "containers": ["CRASHED"]}, FAIL),
        ({"commit": OLD, "stopped": True}, FAIL),
    ],
)
def test_a_scheduled_service_is_stopped_between_its_runs(newest, state):
    assert judged(instance(cron="0 3 * * *"), deployment(**newest))[0] == state


def test_a_run_that_is_due_is_no_new_deployment_to_wait_for():
    row = instance(cron="* * * * *")

    found = judged(
        row, deployment(id="old", is_latest=False), deployment(status="DEPLOYING", is_active=False)
    )

    assert found == (PASS, f"runs {NEW[:7]} just now, as scheduled")


def test_what_serves_no_commit_of_the_project_is_judged_by_itself():
    image = instance(repository="", image="postgres:17")

    assert judged(image, deployment("")) == (PASS, "live with postgres:17")
    assert judged(image, deployment("", status="CRASHED"))[0] == FAIL
    elsewhere = judged(instance(repository="acme/website", belongs=True), deployment(OLD))
    assert elsewhere == (PASS, f"live at {OLD[:7]} of acme/website")
    uploaded = judged(instance(repository="", belongs=True), deployment(""))
    assert uploaded[0] == FAIL and "uploaded by Railway's CLI" in uploaded[1]


def test_what_was_never_read_is_being_read():
    assert judged(instance(seen_at=None), deployment()) == (PENDING, "is being read")


@pytest.mark.parametrize(
    ("patterns", "paths", "found"),
    [
        ([], ["a.txt"], "a.txt"),
        (["/web/**"], ["api/main.py", "web/index.html"], "web/index.html"),
        (["/web/**"], ["api/main.py"], ""),
        (["!*.md"], ["README.md"], ""),
        (["!*.md"], ["README.md", "main.py"], "main.py"),
        (["web/**", "!*.md"], ["web/README.md"], ""),
    ],
)
def test_the_first_watched_path_is_named(patterns, paths, found):
    assert watched(patterns, paths) == found


@pytest.mark.parametrize(
    ("there", "found"),
    [
        (["production", "Production"], "production"),
        (["Production", "staging"], "Production"),
        (["Production", "PRODUCTION"], None),
        (["staging"], None),
    ],
)
def test_a_name_in_another_case_is_meant_when_there_is_only_one(there, found):
    assert meant("production", there) == found
