"""The rollback panel is never greener than the world: what was assessed before something moved is
not shown as now.
"""

from datetime import timedelta

import pytest
from django.utils import timezone

from environments.models import Deployment
from environments.schema.downgrade.compatibility import PENDING
from environments.schema.plan.render import Rendered, Statement, Step, steps_as_json
from portal.ui.actions import Refused
from releases.gates.context import gather
from releases.models import RollbackAssessment
from releases.models.releases import ReleaseStatus
from releases.pages import rollback
from releases.pages.release_context import page_rows
from releases.rollback import actions as rollback_actions
from releases.rollback import assessment as rollback_assessment
from releases.rollback import database_assessment, half_applied
from releases.rollback.candidates import Restorable
from tests.factory import (
    make_advice,
    make_people,
    make_plan_row,
    make_project,
    make_promotion,
    make_release,
    make_run,
)
from tests.reading import squeezed

pytestmark = pytest.mark.django_db


@pytest.fixture
def shipped():
    """A release in production with assessment of this moment, and everything that it was worked out
    from before that.
    """
    people = make_people()
    project = make_project()
    release = make_release(project, status=ReleaseStatus.VERIFYING)
    make_promotion(release, by=people["alice"], at="smoke", failed=True)
    make_advice(release, computed_at=timezone.now() + timedelta(seconds=1))
    return release


def panel(release, **later):
    facts = gather(*page_rows(release.pk))
    return rollback.panel(facts, now=timezone.now() + timedelta(**later))


def test_it_is_green_while_nothing_has_moved(shipped):
    shown = panel(shipped)

    assert (shown.tone, shown.outdated, shown.can_ask) == ("pass", "", True)
    assert shown.verdict == shipped.assessment.verdict


def migrated(release):
    step = release.promotions.get().steps.filter(name="migrate").first()
    step.migration_run = make_run(
        release.project, kind="production", finished_at=timezone.now() + timedelta(seconds=3)
    )
    step.save()


def running(release):
    migrated(release)
    step = release.promotions.get().steps.filter(name="migrate").first()
    type(step.migration_run).objects.filter(pk=step.migration_run_id).update(
        status="running", finished_at=None
    )


def step_ended(release):
    release.promotions.get().steps.filter(name="smoke").update(
        finished_at=timezone.now() + timedelta(seconds=3)
    )


def served(release):
    Deployment.objects.filter(is_active=True).update(commit="f" * 40)
    type(release.project.railway_sync).objects.update(
        synced_at=timezone.now() + timedelta(seconds=3)
    )


def unreadable(release):
    RollbackAssessment.objects.update(problem="Railway does not answer.")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (migrated, "has been migrated since"),
        (running, "is being migrated"),
        (step_ended, "has continued since"),
        (served, "serves another deployment now"),
        (unreadable, "Railway does not answer"),
    ],
)
def test_it_is_not_green_when_something_has_moved_since(shipped, change, message):
    change(shipped)

    shown = panel(shipped)

    assert (
        message in shown.outdated
        and shown.tone == "wait"
        and not shown.can_ask
        and not shown.is_quiet
    )
    assert shown.verdict == "updating"


def test_it_is_not_green_when_looks_were_missed(shipped):
    assert "is outdated" in panel(shipped, hours=1).outdated


@pytest.mark.parametrize("change", [migrated, step_ended, unreadable])
def test_no_rollback_is_asked_for_on_advice_that_was_overtaken(shipped, change):
    change(shipped)

    with pytest.raises(Refused, match="running again"):
        rollback_actions.request_rollback(shipped, actor=None, reason="broken")


@pytest.mark.parametrize(
    ("assessment", "told"),
    [
        ({"computed_at": None}, "The rollback assessment is still running."),
        (
            {"computed_at": None, "problem": "Railway does not answer."},
            "The rollback assessment is still running. Railway does not answer.",
        ),
        (
            {"status": "succeeded", "sentence": "Release 9 went to production after it."},
            "Release 9 went to production after it.",
        ),
    ],
)
def test_what_was_planned_is_no_verdict_once_the_promotion_has_begun(
    client, shipped, assessment, told
):
    make_plan_row(shipped)
    client.force_login(make_people()["alice"])
    planned = "safe to roll back"
    assert planned in squeezed(client.get(f"/releases/{shipped.pk}/"))
    if assessment.get("status"):
        assessment = assessment | {"finished_at": timezone.now()}

    RollbackAssessment.objects.update(**assessment)

    page = squeezed(client.get(f"/releases/{shipped.pk}/"))
    assert planned not in page and told in page and "no verdict" in page


def test_no_rollback_is_asked_for_while_something_moves(shipped):
    RollbackAssessment.objects.update(verdict=PENDING, reasons=["A migration runs in production."])

    with pytest.raises(Refused, match=r"A migration runs in production\. Wait"):
        rollback_actions.request_rollback(shipped, actor=None, reason="broken")


def planned(*statements: Statement, kind: str = ""):
    step = Step("r2", "versions/r2.py", "f" * 64, "m", upgrade=Rendered(statements, kind))
    return lambda ids: ([step], [], [])


@pytest.mark.parametrize(
    ("values", "plan", "breaks"),
    [
        ({"status": "succeeded"}, planned(), None),
        ({}, planned(), None),
        ({"invalid_indexes": ["ix_a"]}, planned(), False),
        ({"kept": ["ALTER TABLE events DROP COLUMN a"]}, planned(), True),
        ({"kept": ["CREATE TABLE fresh (id int)"]}, planned(), False),
        ({"kept": ["CREATE TABLE fresh (id int)"], "failed_revision": "r1"}, planned(), None),
        ({"runner": "command"}, planned(Statement("DROP TABLE a")), None),
        ({"runner": "command"}, planned(Statement("VACUUM", False)), True),
        ({"runner": "command"}, planned(kind="module"), True),
        ({"runner": "command"}, lambda ids: ([], [], []), True),
    ],
)
def test_what_stays_of_a_failed_revision_is_told_and_nothing_else(shipped, values, plan, breaks):
    found = halves(shipped, values, plan=plan)

    assert [one.breaks for one in found] == ([] if breaks is None else [breaks])
    for half in found:
        assert half.sentence.startswith("r2 failed") and half.sentence.endswith(".")


def halves(release, *runs, plan=None, behind=("r1",), invalid=("ix_a",)):
    """What is told after these runs of production, the oldest first."""
    for minutes, values in enumerate(runs):
        known = {"status": "failed", "failed_revision": "r2", "commit": release.candidate}
        known["created_at"] = timezone.now() + timedelta(minutes=minutes)
        if values.get("direction") == "downgrade":
            people = make_people()
            known |= {"requested_by": people["alice"], "approved_by": people["bob"]}
        made = make_run(release.project, kind="production", **known | {"applied": []} | values)
    place = made.environment.databases.get(database=made.database)
    ours = half_applied.runs_of(place, release)
    return half_applied.halves_of(ours, set(behind), invalid, plan or planned())


DROPPED = {"kept": ["ALTER TABLE events DROP COLUMN a"]}


@pytest.mark.parametrize(
    ("runs", "kept"),
    [
        ([DROPPED, {}], 1),  # the second one failed before it changed anything
        ([DROPPED, DROPPED], 1),
        ([DROPPED, {"kept": ["DROP INDEX b"]}], 2),
        ([DROPPED, {"status": "succeeded", "failed_revision": "", "applied": [["r2", 1]]}], 0),
        ([DROPPED | {"commit": "0" * 40}], 0),
        ([DROPPED, {"failed_revision": "r1", "direction": "downgrade"}], 1),
        ([{"invalid_indexes": ["ix_gone"]}], 0),  # somebody has dropped it since
    ],
)
def test_a_later_run_does_not_hide_what_an_earlier_one_left(shipped, runs, kept):
    found = halves(shipped, *runs)

    assert [f": {kept} statement" in one.sentence for one in found] == [True] * bool(kept)


@pytest.mark.parametrize("status", ["succeeded", "queued", "running", "failed"])
def test_a_plan_that_is_made_anew_still_tells_what_it_knew(shipped, status):
    file = shipped.migrations[0]
    step = Step(file["id"], file["path"], file["sha256"], "m", upgrade=Rendered())
    make_plan_row(shipped, status=status, steps=steps_as_json([step]), risks=[])
    databases = list(shipped.project.databases.all())

    steps, _, unplanned = database_assessment._planned(
        shipped, databases[0], databases, [file["id"], "strange"]
    )

    assert [one.revision for one in steps] == [file["id"]] and unplanned == ["strange"]


def test_half_of_a_downgrade_is_told_while_its_revision_is_there(shipped):
    run = {"direction": "downgrade", "kept": ["ALTER TABLE events DROP COLUMN a"]}

    (half,) = halves(shipped, run, behind=("r1", "r2"))

    assert half.breaks and half.sentence.startswith("The downgrade of r2 failed half-way: 1 state")
    assert not halves(shipped, run, behind=("r1",))


def test_a_deployment_under_way_is_no_green(shipped):
    service = Restorable(
        "backend", "s", "moving", "Serves aaaaaaa, as before, and bbbbbbb is under way."
    )
    row = shipped.project.environments.get(kind="production").instances.first()

    verdict = rollback_assessment.judge(
        [(service, row)], database_assessment.DatabaseStates((), None, [], [], [])
    )

    assert verdict.verdict == PENDING and "under way" in verdict.reasons[0]
