"""What a killed worker leaves behind."""

import pytest

from portal.jobs import running
from releases.models.promotion import Promotion, PromotionStep
from releases.models.releases import Release
from releases.promotion import steps as promotion_steps
from tests.factory import make_people, make_project, make_release
from tests.faults.kills import findings, shipped
from tests.faults.scene import world_of_its_own


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_release_is_shipped_through_killed_workers(settings):
    with world_of_its_own(settings) as world:
        killer, people = shipped(world, kills=4, seed=7)
        found = findings(world, people)

    assert killer.errors == []
    assert sum(killer.hits.values()) == 4
    assert not any(found.values()), found


@pytest.mark.django_db
def test_a_step_that_stopped_stays_stopped_when_the_worker_dies_before_the_promotion_ends(
    monkeypatch,
):
    release = make_release(make_project(), by=make_people()["alice"])
    Release.objects.filter(pk=release.pk).update(status="promoting")
    row = Promotion.objects.create(release=release)
    step = PromotionStep.objects.create(promotion=row, position=0, name="merge")
    monkeypatch.setitem(
        promotion_steps.STEPS, "merge", lambda step, facts: promotion_steps.Stop("CI is not green.")
    )
    killed = running.claim(Promotion, row.pk)
    promotion_steps.advance(
        killed, now=killed.created_at
    )  # and the worker dies before it records the outcome
    monkeypatch.setitem(
        promotion_steps.STEPS,
        "merge",
        lambda step, facts: pytest.fail("nobody asked for another look"),
    )
    Promotion.objects.filter(pk=row.pk).update(lease_until=None)

    ended = running.wake("releases.Promotion", row.pk)

    step.refresh_from_db()
    assert (ended, step.status) == ("needs_person", "failed")
