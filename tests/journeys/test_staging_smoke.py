"""Staging is smoked by a job after its migration, and again whenever it is deployed anew."""

import pytest

from portal.models.audit import AuditEvent
from releases import gates
from releases.gates.context import facts_of
from releases.lifecycle import actions
from releases.models import StagingSmoke
from tests.journeys.test_release import cut

pytestmark = pytest.mark.slow


def test_a_release_is_promoted_only_after_staging_answered_as_it_is_now(world):
    release = cut(world)

    def state() -> str:
        return gates.GATES["staging_smoked"](facts_of(release.pk)).state

    world.work(
        lambda: (
            "staging is migrated"
            in (StagingSmoke.objects.values_list("sentence", flat=True).first() or "")
        )
    )
    before = state()
    world.railway.break_path("backend", "staging", "/health", 500)
    actions.migrate_staging(release, actor=world.person("alice"))
    world.work(lambda: state() == "fail")
    told = gates.GATES["staging_smoked"](facts_of(release.pk)).sentence

    world.railway.break_path("backend", "staging", "/health", None)
    world.work(lambda: state() == "pass")
    first = StagingSmoke.objects.get().about
    world.railway.deploy("backend", "staging", release.candidate, live=True)
    world.work(lambda: state() == "pass" and StagingSmoke.objects.get().about != first)

    assert before == "pending" and "500" in told
    outcomes = AuditEvent.objects.filter(action="staging.smoked").order_by("position")
    assert [outcome.outcome for outcome in outcomes] == ["failed", "done", "done"]
