"""Each bad day of the sandbox goes wrong in the stand-ins, begun as a person begins it."""

import functools
from datetime import timedelta

import httpx
import psycopg
import pytest
from django.test import Client

from portal.models.audit import AuditEvent
from portal.sandbox import days, sample
from tests.reading import squeezed


@pytest.fixture
def stage(world, settings):
    """A world whose GitHub stand-in offers the days, as `manage.py sandbox` has it."""
    settings.SANDBOX = True
    stage = days.Stage(world.github, world.railway, world.shape, sample.ALEMBIC)
    world.github_server.days = functools.partial(days.served, stage)
    return world


def begin(world, name, person="alice"):
    client = Client()
    client.force_login(world.person(person), backend="django.contrib.auth.backends.ModelBackend")
    return squeezed(client.post("/practice/begin/", {"name": name}, follow=True))


def address(world, service):
    return world.railway.address(service, "production")


def test_the_page_leads_on_and_lists_every_day(stage):
    client = Client()
    client.force_login(stage.person("alice"), backend="django.contrib.auth.backends.ModelBackend")

    page = squeezed(client.get("/practice/"))

    assert "Next, as alice: create a release." in page
    for day in days.DAYS.values():
        assert day.title in page


def test_a_failed_deploy_fails_the_next_one(stage):
    begin(stage, "failed-deploy")
    stage.railway.deploy("backend", "production", stage.github.heads()["staging"])

    stage.clock.reach(stage.clock.now() + timedelta(minutes=1))

    assert stage.railway.latest("backend", "production")["status"] == "FAILED"


def test_a_failing_migration_passes_in_staging_and_not_in_production(stage):
    before = stage.github.heads()["staging"]

    page = begin(stage, "failing-migration")

    after = stage.github.heads()["staging"]
    changed = stage.github.git.text("diff", "--name-only", before, after).split()
    with psycopg.connect(stage.databases["production"]) as production:
        names = production.execute("SELECT name FROM workspaces").fetchall()
    assert "The day has begun." in page
    assert changed == ["backend/alembic/versions/9e6f8b0d2e4a_workspace_names_are_unique.py"]
    assert names == [(days.DUPLICATE,)] * 2
    again = begin(stage, "failing-migration")
    assert "Production holds the two workspaces already." in again


def test_a_moving_candidate_merges_the_oldest_open_pull_request(stage):
    before = stage.github.heads()["staging"]

    begin(stage, "moving-candidate")

    assert stage.github.heads()["staging"] != before
    [pull] = [row for row in stage.github.state["pulls"] if row["number"] == 129]
    assert pull["state"] == "closed" and pull["merge_commit_sha"]


def test_a_broken_release_answers_with_errors_and_the_one_before_it_does_not(stage):
    served = stage.railway.live_commit("frontend", "production")
    begin(stage, "broken-release")

    still = httpx.get(address(stage, "frontend")).status_code
    stage.railway.deploy("frontend", "production", stage.github.heads()["staging"], live=True)
    new = httpx.get(address(stage, "frontend")).status_code
    stage.railway.deploy("frontend", "production", served, live=True)
    back = httpx.get(address(stage, "frontend")).status_code

    assert (still, new, back) == (200, 500, 200)


def test_everything_is_well_again_ends_the_days(stage):
    for name in ("failed-deploy", "red-check", "broken-release"):
        begin(stage, name)
    head = stage.github.heads()["staging"]

    begin(stage, "all-well")

    stage.railway.deploy("frontend", "production", head, live=True)
    assert httpx.get(address(stage, "frontend")).status_code == 200


def test_a_push_to_main_is_deployed_past_the_portal(stage):
    before = stage.github.heads()["main"]

    begin(stage, "pushed-to-main")

    assert stage.github.heads()["main"] != before


def test_it_is_recorded_and_only_release_managers_begin_a_day(stage):
    begin(stage, "red-check")
    refused = begin(stage, "red-check", person="carol")

    last = AuditEvent.objects.filter(action="sandbox.day_begun").order_by("position")
    assert [event.outcome for event in last] == ["done", "refused"]
    assert "alice began a day to practise: A required check fails." in last[0].sentence
    assert "may not" in refused or "permission" in refused


def test_no_day_and_no_page_outside_the_sandbox(stage, settings):
    settings.SANDBOX = False
    client = Client()
    client.force_login(stage.person("alice"), backend="django.contrib.auth.backends.ModelBackend")
    head = stage.github.heads()["main"]

    assert client.get("/practice/").status_code == 404
    assert client.post("/practice/begin/", {"name": "pushed-to-main"}).status_code == 404
    assert stage.github.heads()["main"] == head


def test_an_unknown_day_and_stand_ins_that_do_not_answer_end_in_a_sentence(stage):
    assert "There is no such day." in begin(stage, "doomsday")

    stage.github_server.days = None
    assert "serves a repository of your own" in begin(stage, "red-check")
