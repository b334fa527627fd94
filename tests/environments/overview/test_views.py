"""The environment matrix and the pages of migration runs."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from environments.models import (
    Deployment,
    EnvironmentDatabase,
    Finding,
    MigrationRun,
    Repair,
    ServiceInstance,
)
from portal.models.audit import AuditEvent
from tests.factory import BASE, deploy, make_people, make_project, make_run
from tests.reading import squeezed

pytestmark = pytest.mark.django_db


@pytest.fixture
def people():
    return make_people()


@pytest.fixture
def project():
    return make_project()


@pytest.fixture
def alice(people):
    client = Client()
    client.force_login(people["alice"], backend="django.contrib.auth.backends.ModelBackend")
    return client


def a_finding(project):
    message = "frontend in production follows staging; it should follow main."
    return Finding.objects.create(
        project=project, kind="branch", subject="frontend in production", sentence=message
    )


def test_the_matrix_names_the_branch_that_is_wrong(alice):
    make_project()
    ServiceInstance.objects.filter(environment__kind="production", service__name="frontend").update(
        branch="staging"
    )

    html = squeezed(alice.get("/environments/"))

    assert html.count("follows staging; should follow main") == 1
    assert "3f2a1c9" in html and "b07d4e2" in html and "4d1a2b3c4d5e" in html


def test_the_matrix_says_what_state_a_deployment_is_in_also_in_words_new_to_us(alice):
    project = make_project()
    instances = ServiceInstance.objects.filter(environment__kind="staging")
    for instance, status in zip(instances, ("CRASHED", "TELEPORTING"), strict=True):
        deploy(instance, BASE, status=status, now=timezone.now())

    html = squeezed(alice.get(f"/environments/?project={project.slug}"))

    assert re.search('<span class="fail">(<a [^>]*>)?crashed<', html)
    assert re.search('<span class="wait">(<a [^>]*>)?teleporting<', html)


def test_an_address_that_is_no_web_address_is_not_linked(alice):
    make_project()
    ServiceInstance.objects.update(domains=["javascript:alert(1)"])

    html = squeezed(alice.get("/environments/"))

    assert 'href="javascript' not in html and "javascript:alert(1)" in html


def test_the_matrix_takes_the_same_queries_for_many_services(alice):
    counts = []
    for name, services in (("one", ("a",)), ("many", tuple(f"service-{n}" for n in range(15)))):
        make_project(name, services=services)
        with CaptureQueriesContext(connection) as seen:
            assert alice.get(f"/environments/?project={name}").status_code == 200
        counts.append(len(seen))

    assert counts[0] == counts[1] <= 13


def test_a_finding_is_resolved_with_a_reason(alice, people):
    finding = a_finding(make_project())
    html = squeezed(alice.get("/environments/"))

    response = alice.post(
        reverse("environments:finding-resolve", args=[finding.pk]), {"reason": "moves tonight"}
    )

    finding.refresh_from_db()
    assert finding.sentence in html
    assert response["Location"] == "/environments/?project=inspector#findings"
    assert (finding.closed_by, finding.reason) == (people["alice"], "moves tonight")


def test_a_finding_is_not_resolved_without_a_reason(alice):
    finding = a_finding(make_project())

    response = alice.post(
        reverse("environments:finding-resolve", args=[finding.pk]), {"reason": " "}, follow=True
    )

    finding.refresh_from_db()
    assert finding.closed_at is None
    assert "Give a reason for resolving this finding." in squeezed(response)


def test_a_wrong_branch_has_a_repair_that_says_what_it_will_do(alice):
    project = make_project()
    a_finding(project)
    wrong = ServiceInstance.objects.get(environment__kind="production", service__name="frontend")
    ServiceInstance.objects.filter(pk=wrong.pk).update(branch="staging")
    address = reverse("environments:branch-repair", args=[wrong.pk])

    html = squeezed(alice.get("/environments/"))
    answer = alice.post(address, {"value": "main"})

    assert f'action="{address}"' in html and "Follow main" in html
    assert answer["Location"] == "/environments/?project=inspector#repairs"
    assert Repair.objects.get().wanted == "main"


def test_a_commit_that_was_not_shown_is_not_deployed(alice):
    make_project()
    live = ServiceInstance.objects.get(environment__kind="production", service__name="frontend")

    html = squeezed(
        alice.post(
            reverse("environments:head-deploy", args=[live.pk]), {"value": "f" * 40}, follow=True
        )
    )

    assert "Reload the page" in html
    assert not Repair.objects.exists()


def test_a_diverged_staging_offers_the_back_merge_and_names_the_commit(alice):
    project = make_project()
    Repair.objects.create(
        project=project,
        kind="sync_staging",
        status="failed",
        result="diverged",
        sentence="It has diverged.",
        evidence=[{"label": "hotfix 1234567", "said": "<b>Stop</b>", "sha": "1234567"}],
    )

    html = squeezed(alice.get("/environments/"))
    alice.post(reverse("environments:back-merge", args=[project.slug]))

    assert "hotfix 1234567" in html and "&lt;b&gt;Stop" in html and 'id="back-merge"' in html
    assert Repair.objects.filter(kind="back_merge").exists()


def test_looking_at_a_repair_does_nothing(alice):
    project = make_project()

    answer = alice.get(reverse("environments:staging-sync", args=[project.slug]))

    assert answer.status_code == 405 and not Repair.objects.exists()


def test_a_run_shows_what_it_applied_and_what_the_database_said(alice):
    run = make_run(make_project())

    html = squeezed(alice.get(f"/migrations/{run.pk}/"))

    assert "2a8f45e9b1c0" in html and "1.2 s" in html and "2 of 2 applied" in html
    assert "data-poll" not in html


def test_runs_of_a_project_lead_to_each_other(alice):
    project = make_project()
    first, second = make_run(project), make_run(project)

    assert f'href="/migrations/{second.pk}/" rel="next"' in squeezed(
        alice.get(f"/migrations/{first.pk}/")
    )
    assert f'href="/migrations/{first.pk}/" rel="prev"' in squeezed(
        alice.get(f"/migrations/{second.pk}/")
    )


def test_only_the_end_of_a_long_log_is_sent(alice):
    run = make_run(make_project(), log="first\n" + "x" * 300_000 + "\nlast", log_bytes=300_011)

    response = alice.get(f"/migrations/{run.pk}/log/")

    html = squeezed(response)
    assert len(html) < 21_000 and "last" in html and "first" not in html
    assert "… earlier lines not shown" in html


def test_the_log_tells_the_page_when_nothing_more_will_come(alice):
    project = make_project()
    ended, running = make_run(project), make_run(project, status="running", finished_at=None)

    assert alice.get(f"/migrations/{ended.pk}/log/").status_code == 286
    assert alice.get(f"/migrations/{running.pk}/log/").status_code == 200


def test_a_log_is_escaped(alice):
    run = make_run(make_project(), log="<script>alert(1)</script>")

    assert "&lt;script&gt;" in squeezed(alice.get(f"/migrations/{run.pk}/"))


def test_a_running_migration_can_be_cancelled_and_only_once(alice):
    run = make_run(make_project(), status="running", finished_at=None)
    address = reverse("environments:migration-cancel", args=[run.pk])

    alice.post(address)
    again = squeezed(alice.post(address, follow=True))

    assert MigrationRun.objects.get().cancel_requested_at is not None
    assert "This run has ended or is already stopping." in again and "Stopping…" in again


def test_a_failed_run_shows_its_statement_and_revision(alice):
    run = make_run(
        make_project(),
        status="failed",
        failed_revision="4d1a2b3c4d5e",
        applied=[],
        sentence="It broke.",
        failed_statement="CREATE INDEX CONCURRENTLY x",
    )

    html = squeezed(alice.get(f"/migrations/{run.pk}/"))

    assert (
        "It broke." in html and "CREATE INDEX CONCURRENTLY x" in html and "0 of 2 applied" in html
    )


def test_the_database_address_is_write_only_in_the_admin(people):
    make_project()
    dave = Client()
    dave.force_login(people["dave"], backend="django.contrib.auth.backends.ModelBackend")
    staging = EnvironmentDatabase.objects.get(environment__kind="staging")
    address = reverse("admin:environments_environmentdatabase_change", args=[staging.pk])

    dave.post(address, {"new_database_url": "postgresql://u:very-secret@db/x"})
    kept = dave.post(address, {"new_database_url": ""})

    assert kept.status_code == 302
    stored = EnvironmentDatabase.objects.get(environment__kind="staging").url
    assert getattr(stored, "reveal", lambda: stored)() == "postgresql://u:very-secret@db/x"
    assert "very-secret" not in squeezed(dave.get(address))
    assert "very-secret" not in squeezed(
        dave.get(reverse("admin:environments_environmentdatabase_history", args=[staging.pk]))
    )


def find(project, kind: str, subject: str, **values) -> Finding:
    return Finding.objects.create(
        project=project, kind=kind, subject=subject, sentence=f"{subject} is wrong.", **values
    )


def test_findings_are_grouped_by_kind_and_an_address_shows_one_kind(client, people, project):
    find(project, "unreadable", "backend", attestable=True)
    find(project, "branch", "frontend")
    client.force_login(people["dave"])

    every = squeezed(client.get(reverse("environments:environments")))
    one = squeezed(client.get(reverse("environments:environments") + "?kind=branch"))

    assert every.index('id="kind-branch"') < every.index('id="kind-unreadable"')
    assert "frontend is wrong." in one and "backend is wrong." not in one
    assert "All 2" in one


def test_several_findings_are_resolved_for_one_reason_all_or_none(client, people, project):
    rows = [find(project, "branch", name) for name in ("a", "b", "c")]
    client.force_login(people["dave"])
    address = reverse("environments:findings-resolve", args=[project.slug])
    chosen = {"findings": [rows[0].pk, rows[1].pk], "reason": "moved on purpose"}

    client.post(address, chosen)
    again = squeezed(
        client.post(address, chosen | {"findings": [rows[1].pk, rows[2].pk]}, follow=True)
    )
    none = squeezed(client.post(address, {"reason": "x"}, follow=True))

    assert list(Finding.objects.open().values_list("subject", flat=True)) == ["c"]
    assert AuditEvent.objects.filter(action="finding.resolved", outcome="done").count() == 2
    assert "closed already" in again and "Select at least one finding" in none


def test_services_are_filtered_by_name_and_by_what_is_not_as_it_should_be(client, people):
    make_project(services=tuple(f"service-{n}" for n in range(8)))
    Deployment.objects.filter(instance__service__name="service-3").update(status="FAILED")
    client.force_login(people["alice"])
    address = reverse("environments:environments")

    named = squeezed(client.get(address + "?service=ice-5"))
    differing = squeezed(client.get(address + "?differing=1"))

    assert "service-5" in named and "1 of 8 services" in named
    assert "service-3" in differing and "1 of 8 services" in differing


def test_what_was_read_long_ago_is_not_shown_as_passed(client, people, project):
    ServiceInstance.objects.update(seen_at=timezone.now() - timedelta(hours=1))
    client.force_login(people["alice"])

    html = squeezed(client.get(reverse("environments:environments")))

    assert "last seen: success" in html
    matrix = html[html.index('class="matrix"') :]
    assert 'class="mark pass"' not in matrix[: matrix.index("</table>")]
