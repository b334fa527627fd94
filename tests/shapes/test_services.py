"""Services of every kind on their ordinary days, against the stand-ins."""

import pytest
from django.utils import timezone

from environments.models import (
    Finding,
    Preview,
    Project,
    RailwaySync,
    Service,
    ServiceInstance,
    VariableSync,
)
from environments.overview import actions
from portal.models.audit import AuditEvent
from portal.ui.actions import NotPermitted
from releases import gates
from releases.gates.context import facts_of
from tests.journeys.test_release import cut, head, reread
from tests.journeys.test_rollback import ask, asked_of_railway, ship, sign
from tests.journeys.world import quick_world

pytestmark = pytest.mark.slow


@pytest.fixture
def shaped(tmp_path, settings, db):
    """Makes a world of the named shapes."""
    worlds = []

    def make(*names):
        worlds.append(quick_world(tmp_path, settings, shape=names))
        return worlds[-1].__enter__()

    yield make
    for world in worlds:
        world.__exit__(None, None, None)


def read(world) -> None:
    """Railway is read once more."""
    before = timezone.now()
    RailwaySync.objects.update(wake_at=before)
    world.work(lambda: RailwaySync.objects.filter(synced_at__gt=before).exists())


def healthy(release):
    return gates.GATES["staging_healthy"](facts_of(release.pk))


def test_runs_that_were_due_are_nobodys_doing_and_containers_that_crashed_are_seen(shaped):
    world = shaped("sleeping-and-scheduled")
    release = cut(world)
    world.work(lambda: ServiceInstance.objects.filter(judged="").count() == 0)
    asked = len(
        [
            request
            for request in world.railway_server.requests
            if "DeploymentHistory" in request.body
        ]
    )

    for _ in range(6):
        world.railway.run_scheduled("nightly", "production")
        world.work(lambda: world.railway.latest("nightly", "production")["status"] == "SUCCESS")
        read(world)

    assert not Finding.objects.filter(closed_at=None).exclude(kind="protection").exists()
    assert (
        len(
            [
                request
                for request in world.railway_server.requests
                if "DeploymentHistory" in request.body
            ]
        )
        == asked
    )
    world.work(lambda: healthy(release).passed)
    world.railway.set_containers("backend", "staging", "CRASHED", "EXITED")
    read(world)
    message = healthy(release)
    assert message.state == gates.FAIL and "backend has no running container" in message.sentence
    world.railway.set_containers("backend", "staging", "RUNNING", "CRASHED")
    read(world)
    assert healthy(release).passed


def test_what_another_repository_does_is_shown_and_waited_for_only_if_people_say_so(shaped, client):
    world = shaped("other-repository")
    release, website = cut(world), Service.objects.get(name="website")
    world.railway.fail_next("website", "staging")
    world.railway.push_elsewhere("acme/website", "main", "c0ffee" + "0" * 34)
    world.work(lambda: world.railway.latest("website", "staging")["status"] == "FAILED")
    read(world)

    world.work(lambda: healthy(release).passed)
    beside = dict(healthy(release).evidence)["website"]
    assert (
        "is not live at c0ffee0 of acme/website" in beside and "not part of the release" in beside
    )
    assert not Finding.objects.filter(closed_at=None).exclude(kind="protection").exists()
    with pytest.raises(NotPermitted):
        actions.place_service(website, actor=world.person("carol"), belongs=True)

    client.force_login(world.person("alice"))
    client.post(f"/services/{website.pk}/place/", {"belongs": "yes"})

    assert healthy(release).state == gates.FAIL and "website" in healthy(release).sentence
    event = AuditEvent.objects.get(action="configuration.confirmed")
    assert "website" in event.sentence and "by where it is built from → yes" in event.sentence
    page = client.get("/environments/").content.decode()
    assert (
        "is part of the release, as people say" in page
        and "built from acme/website, branch main" in page
    )


def test_an_uploaded_service_is_named_with_what_to_do_and_let_go_by_a_persons_word(shaped):
    world = shaped("uploaded")
    release = cut(world)
    world.work(lambda: Finding.objects.filter(kind="uploaded", closed_at=None).count() == 2)
    message = gates.GATES["environments_coherent"](facts_of(release.pk)).sentence
    assert "importer in" in message and "Connect it to acme/inspector on Railway" in message

    actions.place_service(
        Service.objects.get(name="importer"), actor=world.person("alice"), belongs=False
    )

    world.work(lambda: gates.GATES["environments_coherent"](facts_of(release.pk)).passed)
    assert healthy(release).passed


def test_a_push_that_touches_one_service_leaves_the_others_where_they_are(shaped):
    world = shaped("watch-paths")
    old = head(world, "staging")
    sha = world.github.push_commit("staging", {"frontend/new.html": "new"}, "Only the frontend")
    world.github.set_check(sha, "python-ci")
    release = cut(world)

    world.work(lambda: world.railway.latest("frontend", "staging")["status"] == "SUCCESS")
    world.work(lambda: healthy(release).passed)

    assert world.railway.live_commit("frontend", "staging") == sha == release.candidate
    assert (
        world.railway.live_commit("backend", "staging"),
        world.railway.latest("backend", "staging")["status"],
    ) == (old, "SKIPPED")
    assert (
        dict(healthy(release).evidence)["backend"]
        == f"serves {old[:7]}; nothing it watches changed since"
    )
    world.railway.skip_next("backend", "staging")
    world.github.push_commit(
        "staging", {"backend/app.py": "# changed\n"}, "And the backend, which Railway skips"
    )
    world.work(lambda: healthy(release).state == gates.FAIL)
    assert "backend" in healthy(release).sentence and "frontend" not in healthy(release).sentence
    assert sha != head(world, "staging")


def test_a_preview_becomes_live_with_services_of_every_kind(shaped, settings):
    world = shaped(
        "databases", "sleeping-and-scheduled", "other-repository", "uploaded", "watch-paths"
    )
    settings.PREVIEW_PAUSE_SECONDS = 0
    world.railway.set_knobs(cooldown=0)
    for pull in [one for one in world.github.state["pulls"] if one["state"] == "open"][1:]:
        world.github.close_pull(pull["number"])
    world.work(lambda: VariableSync.objects.filter(sentence="Variables read.").exists())

    Project.objects.update(previews=True)
    world.work(lambda: Preview.objects.filter(state="live").exists())

    preview = Preview.objects.get(state="live")
    assert world.railway.live_commit("nightly", preview.name) == preview.head
    assert world.railway.latest("Postgres", preview.name)["status"] == "SUCCESS"


def test_a_rollback_restores_what_the_release_changed_and_nothing_else(shaped):
    world = shaped("databases", "watch-paths", "sleeping-and-scheduled")
    before = head(world, "main")
    release = ship(world)
    told = {service["service"]: service["state"] for service in release.assessment.services}
    assert told == {
        "backend": "ready",
        "frontend": "ready",
        "nightly": "ready",
        "docs": "same",
        "worker": "same",
    }

    job = ask(world, release)
    sign(world, job)
    world.work(lambda: not reread(job).is_open)

    assert job.status == "succeeded", job.sentence
    assert {
        world.railway.live_commit(one, "production") for one in ("backend", "frontend", "nightly")
    } == {before}
    assert len(asked_of_railway(world)) == 3
