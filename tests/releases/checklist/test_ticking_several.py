"""Several items are ticked together: all or none, each with an event of its own."""

import pytest
from django.urls import reverse

from portal.models.audit import AuditEvent
from releases.models.checklist import ChecklistItem
from tests.factory import CANDIDATE, make_people, make_project, make_release
from tests.portal.audit_page.test_pages import signed_in
from tests.reading import squeezed

pytestmark = pytest.mark.django_db


@pytest.fixture
def release():
    made = make_release(make_project())
    for text in ("Prices compared", "Support is told", "Customers are told"):
        made.items.create(text=text, phase="before", position=90)
    return made


@pytest.fixture
def alice():
    return make_people()["alice"]


def manual(release):
    return list(release.items.filter(gate="", phase="before").order_by("pk"))


def send(user, release, items, **fields):
    given = {"items": [item.pk for item in items], "candidate": CANDIDATE, "note": "looked at"}
    address = reverse("releases:release-do", args=[release.pk, "tick-items"])
    return squeezed(signed_in(user).post(address, given | fields, follow=True))


def ticked(release):
    return list(release.items.exclude(ticked_at=None).order_by("pk"))


def test_each_of_the_selected_items_is_ticked_with_an_event_of_its_own(release, alice):
    chosen, left = manual(release)[:-1], manual(release)[-1]

    page = send(alice, release, chosen)

    assert "The items are ticked." in page
    assert len(chosen) >= 2 and ticked(release) == chosen
    assert {(one.ticked_by, one.note) for one in ticked(release)} == {(alice, "looked at")}
    events = AuditEvent.objects.filter(action="checklist.ticked", outcome="done")
    assert sorted(one.data["item"] for one in events) == [one.pk for one in chosen]
    assert left.pk not in {one.pk for one in ticked(release)}


def test_one_item_that_may_not_be_ticked_keeps_all_of_them_open(release, alice):
    after = release.items.filter(gate="", phase="after").first() or ChecklistItem.objects.create(
        release=release, text="Look at the graphs", phase="after", position=1
    )

    page = send(alice, release, [*manual(release), after])

    assert "Items after promotion open when the release is live in production." in page
    assert ticked(release) == []
    assert [one.outcome for one in AuditEvent.objects.filter(action="checklist.ticked")] == [
        "refused"
    ]


def test_what_a_gate_decides_is_not_ticked_along(release, alice):
    decided = release.items.exclude(gate="").first()

    page = send(alice, release, [*manual(release), decided])

    assert "One of these items cannot be ticked" in page
    assert ticked(release) == []


def test_items_of_another_release_are_refused(release, alice):
    other = make_release(make_project(name="other"))

    page = send(alice, release, [*manual(release), *manual(other)])

    assert "belongs to another release. Nothing was ticked." in page
    assert ticked(release) == ticked(other) == []


def test_a_page_that_showed_another_candidate_ticks_nothing(release, alice):
    send(alice, release, manual(release), candidate="b" * 40)

    assert ticked(release) == []


def test_only_who_may_tick_is_offered_it(release, alice):
    auditor = make_people()["carol"]
    address = reverse("releases:release", args=[release.pk])

    assert "Tick several items" in squeezed(signed_in(alice).get(address))
    assert "Tick several items" not in squeezed(signed_in(auditor).get(address))
    assert "You are not allowed to do this." in send(auditor, release, manual(release))
    assert ticked(release) == []


def test_selecting_nothing_is_said(release, alice):
    assert "Select at least one item to tick." in send(alice, release, [])
