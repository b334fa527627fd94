"""Odd names and things that are gone: each one clear sentence, and nothing half-done."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import stamina
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils import timezone
from django.utils.html import escape

from environments import railway
from environments.drift import detect
from environments.drift import rules as drift_rules
from environments.models import (
    Environment,
    Finding,
    Project,
    RailwaySync,
    Repair,
    Service,
    ServiceInstance,
    Variable,
)
from environments.railway import Railway
from environments.railway_mirror import jobs
from environments.railway_mirror import sync as mirror_sync
from environments.repairs import actions
from environments.variables import rules as variables_rules
from environments.variables import sync as variables_sync
from portal.outbound.credentials import Secret
from portal.outbound.http import ApiError
from portal.sandbox.railway import RailwayStandIn
from portal.sandbox.server import Server
from portal.ui.actions import Refused
from tests.environments.variables.test_variables import put, rule
from tests.factory import make_people, make_project
from tests.reading import squeezed

pytestmark = pytest.mark.django_db
LONG = "feature/ünï.cöde/服务-" + "x" * 200
ODD = [LONG[:200], "a/b.c/d..e", "服务 & <b>", "‮drowssap", "0", "...", "%2F%00?#"]


@pytest.fixture
def people():
    return make_people()


@pytest.fixture
def alice(people):
    client = Client()
    client.force_login(people["alice"], backend="django.contrib.auth.backends.ModelBackend")
    return client


def tree(*environments, services=("backend",), complete=True):
    """A reading of Railway: `environments` are (id, name) or (id, name, created), each with
    every service.
    """
    ids = {f"s-{number}": name for number, name in enumerate(services)}
    return railway.ProjectTree(
        "p",
        "inspector",
        None,
        tuple(railway.Service(id, name) for id, name in ids.items()),
        tuple(_environment(environment, ids) for environment in environments),
        complete,
        (),
    )


def _environment(values, services):
    id, name, *created = values
    return railway.Environment(
        id,
        name,
        True,
        False,
        created[0] if created else None,
        None,
        "",
        tuple(
            railway.Trigger(f"t-{id}-{service}", service, "acme/inspector", LONG[:200])
            for service in services
        ),
        tuple(
            railway.ServiceInstance(f"i-{id}-{one}", one, name, id, repo="acme/inspector")
            for one, name in services.items()
        ),
    )


@pytest.fixture
def project(people):
    project = Project.objects.create(
        name="odd",
        slug="odd",
        repository="acme/inspector",
        railway_project_id="p",
        staging_branch=LONG[:200],
        production_branch="release/1.0",
    )
    RailwaySync.objects.create(project=project, wake_at=timezone.now() + timedelta(days=365))
    return project


def test_an_answer_in_which_no_service_can_be_read_leaves_them_as_they_were_last_seen(project):
    seen = tree(("e1", "staging"), ("e2", "production"))
    places = (
        replace(
            environment,
            instances=tuple(replace(each, readable=False) for each in environment.instances),
        )
        for environment in seen.environments
    )
    mirror_sync.apply(project, seen, now=timezone.now())
    before = list(ServiceInstance.objects.values("railway_id", "branch", "seen_at"))

    mirror_sync.apply(project, replace(seen, environments=tuple(places)), now=timezone.now())

    assert list(ServiceInstance.objects.values("railway_id", "branch", "seen_at")) == before
    assert len(before) == 2 and all(one["seen_at"] for one in before)


def test_odd_names_of_services_environments_branches_and_variables_come_through_whole(
    project, alice
):
    places = [
        ("e1", "staging"),
        ("e2", "production"),
        *((f"x{n}", name) for n, name in enumerate(ODD)),
    ]
    mirror_sync.apply(project, tree(*places, services=ODD), now=timezone.now())
    service, environment = (
        Service.objects.get(name=ODD[0]),
        Environment.objects.get(name="production"),
    )
    variables_sync._row(variables_sync.Place(environment, service), LONG, Secret("x")).save()
    detect.compare(project, now=timezone.now())

    html = squeezed(alice.get("/environments/?project=odd"))
    compared = squeezed(alice.get(f"/variables/?project=odd&a={environment.pk}"))

    assert ServiceInstance.objects.filter(branch=LONG[:200]).count() == len(ODD) * len(places)
    wrong = Finding.objects.get(subject=f"{ODD[0]} in production", kind="branch")
    assert (
        wrong.sentence
        == f"{ODD[0]} in production follows {LONG[:200]}; it should follow release/1.0."
    )
    assert "服务 &amp; &lt;b&gt;" in html and "<b>" not in html.replace("<body>", "")
    assert LONG[:200] in html and LONG[:200] in compared


def test_a_branch_with_slashes_and_unicode_is_repaired_as_it_is_written(project, people):
    mirror_sync.apply(project, tree(("e1", "staging"), ("e2", "production")), now=timezone.now())
    instance = ServiceInstance.objects.get(environment__name="staging")
    ServiceInstance.objects.update(branch="elsewhere")
    instance.refresh_from_db()

    repair = actions.repair_branch(instance, actor=people["alice"], wanted=LONG[:200])

    assert repair.wanted == LONG[:200]


def test_variables_whose_long_names_begin_alike_are_one_row_and_no_failure(project):
    class Asked:
        def variables_of(self, project, places, *, unrendered):
            known = {LONG: Secret("a"), LONG + "more": Secret("b"), "PLAIN": None}
            return {
                (environment, service): known if service else {} for environment, service in places
            }

    mirror_sync.apply(project, tree(("e1", "staging")), now=timezone.now())

    variables_sync.read(project, Asked(), now=timezone.now())

    assert sorted(Variable.objects.values_list("name", flat=True)) == sorted(["PLAIN", LONG[:200]])


def test_of_two_environments_with_one_name_the_oldest_is_meant_and_the_other_is_named(
    project, alice
):
    old, new = datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
    both = [("new-one", "staging", new), ("old-one", "staging", old), ("e2", "production", old)]

    mirror_sync.apply(project, tree(*both), now=timezone.now())

    html = squeezed(alice.get("/environments/?project=odd"))
    message = Finding.objects.get(kind="twice").sentence
    assert Environment.objects.get(kind="staging").railway_id == "old-one"
    assert message == (
        "Railway has 2 environments named staging; the oldest is meant. "
        "Rename or delete the others."
    )
    assert "<code>new-one</code>" in html and "<code>old-one</code>" in html


def test_the_names_of_the_two_environments_are_configured_and_must_differ(project):
    Project.objects.update(staging_environment="QA / test", production_environment="live")
    project.refresh_from_db()

    mirror_sync.apply(project, tree(("e1", "QA / test"), ("e2", "staging")), now=timezone.now())

    assert Environment.objects.get(kind="staging").name == "QA / test"
    assert Finding.objects.filter(
        sentence="There is no environment named live on Railway."
    ).exists()
    project.production_environment = "QA / test"
    with pytest.raises(ValidationError, match="must be two environments"):
        project.full_clean()


def test_a_project_that_the_token_cannot_see_is_one_sentence_and_forgets_nothing(
    tmp_path, settings, alice
):
    standin = RailwayStandIn(
        tmp_path / "railway", repository=tmp_path, repository_name="acme/inspector"
    )
    server = Server(standin).start()
    settings.RAILWAY_API_URL, settings.RAILWAY_API_TOKEN = (
        f"{server.url}/graphql/v2",
        "sandbox-railway-token",
    )
    project = make_project(railway_project_id=str(uuid.uuid4()))
    before = ServiceInstance.objects.count()
    try:
        with stamina.set_testing(True, attempts=2, cap=True):
            jobs.sync_railway(project.railway_sync, now=timezone.now())
            with pytest.raises(ApiError):
                Railway().project(project.railway_project_id)
    finally:
        server.stop()
        standin.stop()

    html = squeezed(alice.get("/environments/"))
    problem = RailwaySync.objects.get(project=project).problem
    assert f"The token may not see Railway's project {project.railway_project_id}" in problem
    assert escape(problem) in html
    assert (
        ServiceInstance.objects.count() == before
        and not Environment.objects.exclude(gone_at=None).exists()
    )


def test_a_deleted_service_or_environment_is_not_repaired(people, alice):
    make_project()
    instance = ServiceInstance.objects.filter(environment__kind="production").first()
    address = f"/instances/{instance.pk}/branch/"
    Service.objects.filter(pk=instance.service_id).update(gone_at=timezone.now())

    deleted = squeezed(alice.post(address, {"value": "main"}, follow=True))
    instance.refresh_from_db()
    for act, given in ((actions.deploy_head, {"commit": "a" * 40}), (actions.switch_push_on, {})):
        with pytest.raises(Refused, match="was deleted on Railway"):
            act(instance, actor=people["alice"], **given)
    instance.delete()
    vanished = squeezed(alice.post(address, {"value": "main"}, follow=True))

    assert "was deleted on Railway, so there is nothing to repair." in deleted
    assert "This service was deleted on Railway, so nothing was done" in vanished
    assert not Repair.objects.exists()


def test_a_rule_about_a_variable_that_nobody_has_is_said_to_be_so_and_finds_nothing(alice):
    project = make_project()
    for kind in ("separate", "present", "only", "address"):
        rule(project, kind, LONG[:200], service="ünï/*", target="backend", where="staging")
    put("production", "backend", "OTHER", "x")

    html = squeezed(alice.get("/variables/"))

    rows = drift_rules.read_rows(project)
    instances = [live.instance for live in rows.lives]
    assert variables_rules.problems(project, rows.environments, instances) == []
    assert html.count("no service has this variable") == 4
