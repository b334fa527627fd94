"""The rehearsal's item on a release: a person signs only for what the portal could not do."""

import pytest
from django.urls import reverse

from environments.models import Environment, Rehearsal
from environments.rehearsals.actions import cancel_rehearsal, start_rehearsal
from portal.models.audit import AuditEvent
from portal.ui.actions import NotPermitted, Refused
from releases import gates
from releases.checklist import actions
from releases.gates.context import facts_of
from releases.models.checklist import ChecklistItem
from tests.factory import make_people, make_project, make_rehearsal, make_release
from tests.reading import squeezed

pytestmark = pytest.mark.django_db


@pytest.fixture
def people():
    return make_people()


@pytest.fixture
def release(people):
    made = make_release(make_project(), by=people["alice"])
    Rehearsal.objects.all().delete()
    return made


def item(release) -> ChecklistItem:
    return release.items.get(gate="rehearsed")


def test_a_person_signs_for_what_could_not_be_rehearsed_here(release, people):
    make_rehearsal(
        release, status="needs_person", sentence="The database uses postgis.", files=[], start=None
    )
    asked = gates.GATES["rehearsed"](facts_of(release.pk))

    actions.tick(item(release), actor=people["alice"], note="rehearsed on a copy by hand")

    line = next(
        one for one in gates.readiness_of(facts_of(release.pk)).before if one.gate == "rehearsed"
    )
    assert asked.state == gates.ATTEST and "postgis" in asked.sentence
    assert line.done and "by hand" in line.result.sentence


@pytest.mark.parametrize("status", ["failed", "running", "succeeded"])
def test_nobody_signs_away_what_the_portal_knows(release, people, status):
    make_rehearsal(release, status=status)

    with pytest.raises(Refused, match="decided by the portal"):
        actions.tick(item(release), actor=people["alice"], note="it will do")


def test_the_item_is_not_asked_of_a_release_without_migrations(people):
    release = make_release(make_project("plain"), by=people["alice"], migrations=[])

    assert "rehearsed" not in [one.gate for one in gates.readiness_of(facts_of(release.pk)).before]


def test_the_page_links_the_rehearsal_whose_page_tells_what_failed(client, release, people):
    row = make_rehearsal(
        release,
        status="failed",
        sentence="Revision x failed.",
        failed_statement="drop table <b>",
        left=None,
        drift=None,
        drift_problem="It imports the product.",
    )
    client.force_login(people["carol"])

    on_release = squeezed(client.get(reverse("releases:release", args=[release.pk])))
    page = squeezed(client.get(reverse("environments:rehearsal", args=[row.pk])))

    assert (
        f'href="/rehearsals/{row.pk}/"' in on_release
        and "The rehearsal failed: Revision x failed." in on_release
    )
    assert "drop table &lt;b&gt;" in page and "It imports the product." in page
    assert "rehearse-again" not in page, "carol only looks"


def test_from_its_page_it_is_cancelled_and_asked_for_anew(client, release, people):
    row = make_rehearsal(release, status="waiting", finished_at=None)
    client.force_login(people["alice"])

    client.post(reverse("environments:rehearsal-cancel", args=[row.pk]))
    Rehearsal.objects.filter(pk=row.pk).update(status="cancelled", finished_at=row.created_at)
    client.post(reverse("environments:rehearsal-again", args=[row.pk]))

    row.refresh_from_db()
    again = Rehearsal.objects.exclude(pk=row.pk).get()
    assert row.cancel_requested_at and (again.status, again.commit) == ("queued", row.commit)
    told = (
        AuditEvent.objects.filter(action__startswith="rehearsal.")
        .order_by("pk")
        .values_list("action", flat=True)
    )
    assert list(told) == ["rehearsal.cancelled", "rehearsal.requested"]


def test_without_the_right_it_is_neither_asked_for_nor_stopped(release, people):
    row, production = (
        make_rehearsal(release, status="waiting"),
        Environment.objects.get(kind="production"),
    )

    with pytest.raises(NotPermitted):
        cancel_rehearsal(row, actor=people["carol"])
    with pytest.raises(NotPermitted):
        start_rehearsal(
            production,
            database=release.project.databases.get(),
            actor=people["carol"],
            commit=release.candidate,
        )
