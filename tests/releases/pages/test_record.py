"""What a page says of a release that ended, was superseded or was rolled back."""

import re

import pytest
from django.contrib.auth.models import User
from django.db.models import Value
from django.db.models.functions import Concat
from django.urls import reverse
from django.utils import timezone

from environments.models import Deployment, Repair, Service, ServiceInstance
from portal.models.audit import AuditEvent
from releases.approvals.actions import accept_risk
from releases.gates import readiness_of, record
from releases.lifecycle import reconcile
from releases.models.approvals import RiskAcceptance
from releases.models.reconciler import ReleaseReconciler
from releases.models.releases import Release
from tests.factory import MERGE, make_people, make_project, make_promotion, make_release
from tests.reading import squeezed
from tests.releases.gates.test_plan import NAMED
from tests.releases.gates.test_plan import a_release as with_a_risk
from tests.releases.pages.test_views import page, signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def people():
    return make_people()


def shipped(project, people, **values):
    """A release that was promoted and merged."""
    release = make_release(project, by=people["alice"], ready=True)
    make_promotion(release, by=people["alice"])
    Release.objects.filter(pk=release.pk).update(
        **({"status": "verifying", "merge_commit": MERGE} | values)
    )
    release.refresh_from_db()
    return release


def ended(release, status="done"):
    record.keep(release, now=timezone.now())
    Release.objects.filter(pk=release.pk).update(status=status, ended_at=timezone.now())
    release.refresh_from_db()


def test_a_finished_release_does_not_change_with_rules_gates_and_people(people):
    project = make_project(production=MERGE)
    release = shipped(project, people)
    ended(release)
    alice = signed_in(people["alice"])
    rows = lines(release)

    type(project).objects.filter(pk=project.pk).update(required_approvals=3, soak_minutes=999)
    release.items.filter(phase="after").update(condition="migrations")
    Deployment.objects.all().delete()
    html = page(alice, release)

    assert "3 required" not in html
    assert lines(release) == rows


def later_rules(project):
    type(project).objects.filter(pk=project.pk).update(required_approvals=3, soak_minutes=999)


def bob_left(project):
    User.objects.filter(username="bob").update(is_active=False)


def words_lapse(project):
    RiskAcceptance.objects.update(lapsed_at=timezone.now(), lapsed_why="configuration: runner")


def another_database(project):
    row = project.databases.get()
    row.pk, row.name, row.alembic = None, "second", "second/alembic.ini"
    row.save()


def renamed_services(project):
    Service.objects.filter(project=project).update(name=Concat("name", Value("-new")))


def retitled_pulls(project):
    project.pull_requests.update(title="Another title", author="somebody")


def github_is_down(project):
    type(project.github_sync).objects.update(problem="GitHub does not answer.")


def environments_replaced(project):
    project.environments.update(gone_at=timezone.now())


def production_moved_on(project):
    project.branches.update(head="8" * 40)


LATER = (
    later_rules,
    bob_left,
    words_lapse,
    another_database,
    renamed_services,
    retitled_pulls,
    github_is_down,
    environments_replaced,
    production_moved_on,
)


@pytest.mark.parametrize("later", LATER, ids=lambda one: one.__name__)
def test_no_word_on_a_record_changes_with_what_comes_later(people, later):
    release = with_a_risk(people)
    accept_risk(release, actor=people["bob"], **NAMED, reason="because")
    make_promotion(release, by=people["alice"])
    Release.objects.filter(pk=release.pk).update(status="verifying", merge_commit=MERGE)
    release.refresh_from_db()
    ended(release)
    shipped(release.project, people, merge_commit="9" * 40)
    alice = signed_in(people["alice"])
    before = words(page(alice, release))

    later(release.project)

    assert words(page(alice, release)) == before
    assert "“because”" in before


def words(html: str) -> str:
    """What the page says and where it leads to, without how long ago that was."""
    main = re.sub(r'<div id="timeline".*', "", html[html.index("<main") :])
    return re.sub(r"<time.*?</time>|data-[a-z]+=\"[^\"]*\"", "", main)


def lines(release):
    from releases.gates.context import facts_of

    readiness = readiness_of(facts_of(release.pk))
    return [
        (line.text, line.result.state, line.result.sentence, line.result.seen_at)
        for line in (*readiness.before, *readiness.after)
    ]


def test_a_record_without_lines_asks_no_gate_again(people):
    release = make_release(make_project(), by=people["alice"])
    ended(release, "abandoned")
    Release.objects.filter(pk=release.pk).update(record=release.record | {"before": []})

    assert [text for text, *_ in lines(release) if text == "Approved"] == []
    assert "0 of 0" in page(signed_in(people["alice"]), release)


def test_a_superseded_release_says_so_and_tells_nothing_of_now(people):
    project = make_project(production=MERGE)
    first = shipped(project, people)
    ended(first)
    second = shipped(project, people, merge_commit="9" * 40)

    html = page(signed_in(people["alice"]), first)

    assert f"Superseded by {second.name}." in html
    assert f'href="{reverse("releases:release", args=[second.pk])}"' in html
    assert 'id="live-h"' not in html and 'id="drift-h"' not in html
    assert "This release is done." not in html
    assert "Superseded" not in page(signed_in(people["alice"]), second)


def test_a_release_that_is_still_verified_ends_when_another_is_merged(people):
    project = make_project(production=MERGE)
    first = shipped(project, people)
    second = shipped(project, people, merge_commit="9" * 40)

    reconcile._close(ReleaseReconciler.objects.get(release=first), first, timezone.now())

    first.refresh_from_db()
    assert (first.status, first.record["superseded_by"]) == ("done", second.name)


def rolled_back(people):
    project = make_project(production=MERGE)
    release = shipped(project, people)
    production = ServiceInstance.objects.filter(environment__kind="production")
    production.update(rolled_back_from=MERGE)
    Deployment.objects.filter(instance__in=production).update(commit="7" * 40)
    ended(release, "rolled_back")
    return release


def test_after_a_rollback_both_pages_say_what_serves_what_main_holds_and_the_two_ways_on(people):
    release = rolled_back(people)
    alice = signed_in(people["alice"])

    for html in (page(alice, release), squeezed(alice.get("/"))):
        assert f"{release.name} was rolled back." in html
        assert "backend, frontend serve 7777777" in html
        assert f"main is at {MERGE[:7]} and still holds {release.name}" in " ".join(html.split())
        assert "The next push to main ships it again: 11 commits and 2 migrations." in " ".join(
            html.split()
        )
        assert "Open revert pull request" in html and "roll forward" in html
        assert "nothing to release" not in html


def test_one_button_asks_for_the_revert_once(people):
    release = rolled_back(people)
    alice = signed_in(people["alice"])
    address = reverse("releases:release-do", args=[release.pk, "open-revert"])

    alice.post(address)
    alice.post(address)

    assert [(one.kind, one.wanted) for one in Repair.objects.all()] == [("revert", "131")]
    assert "Opening the revert pull request" in page(alice, release)
    event = AuditEvent.objects.get(action="revert.requested", outcome="done")
    assert event.data["release"] == release.name


def test_when_main_is_deployed_again_nothing_is_rolled_back_any_more(people):
    release = rolled_back(people)
    Deployment.objects.filter(instance__environment__kind="production").update(commit=MERGE)

    html = signed_in(people["alice"]).get("/").content.decode()

    assert "Open revert pull request" not in html
    assert "Open revert pull request" not in page(signed_in(people["alice"]), release)
