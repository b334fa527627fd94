"""A migration that could hurt, from the push to staging until somebody accepts it."""

import pytest
from django.utils import timezone

from environments.models import MigrationPlan
from portal.sandbox.sample import migration
from portal.ui.actions import Refused
from releases import gates
from releases.approvals import actions as approvals_actions
from releases.gates.context import facts_of
from releases.models.releases import ReleaseStatus
from releases.promotion import actions as promotion_actions
from tests.journeys.test_release import cut, make_ready, push, reread

pytestmark = pytest.mark.slow
ADD = 'op.add_column("events", sa.Column("severity", sa.Text))'
DROP = migration(
    "7a9c1e3f5b67", "6f8b0d2e4a56", "drop severity", 'op.drop_column("events", "severity")', ADD
)
EDITED = {path: text.replace("drop_column(", "drop_column( ") for path, text in DROP.items()}


def planned(world, release, commit: str) -> None:
    """Works until the plan of `commit` is made and the checks on it are green."""
    world.github.set_check(commit, "python-ci")
    world.work(lambda: reread(release).collected == commit)
    world.work(lambda: MigrationPlan.objects.filter(commit=commit, status="succeeded").exists())


def dropping(release) -> dict[str, str]:
    """The file that drops the column, as the form of the page names it."""
    file = next(one for one in reread(release).migrations if one["id"] == "7a9c1e3f5b67")
    return {"revision": file["id"], "sha256": file["sha256"]}


def test_the_samples_migrations_ask_nobody_and_their_way_back_is_known(world):
    release = cut(world)
    world.work(lambda: MigrationPlan.objects.filter(status="succeeded").exists())

    facts = facts_of(release.pk)

    assert gates.GATES["migration_risks"](facts).passed
    assert [step.revision for step in facts.databases[0].planned.steps] == [
        one["id"] for one in release.migrations
    ]
    assert (
        "CREATE INDEX CONCURRENTLY events_workspace_id"
        in facts.databases[0].planned.steps[1].upgrade.text
    )
    assert {risk.severity for risk in facts.databases[0].planned.risks} == {"info"}
    assert (
        facts.databases[0].planned.met["tables"]["events"]["size"] > 0
        and facts.databases[0].planned.met["problem"] == ""
    )


def test_a_database_that_does_not_answer_for_a_moment_is_asked_again(world):
    url = world.databases["production"]
    world.railway.set_variable(
        "production", "backend", "DATABASE_URL", url.replace("127.0.0.1:", "127.0.0.2:1")
    )
    release = cut(world)
    world.work(
        lambda: MigrationPlan.objects.filter(sentence__contains="Waiting for production").exists()
    )

    world.railway.set_variable("production", "backend", "DATABASE_URL", url)
    MigrationPlan.objects.update(wake_at=timezone.now())
    world.work(lambda: MigrationPlan.objects.filter(status="succeeded").exists())

    assert facts_of(release.pk).databases[0].planned.met["tables"]["events"]["size"] > 0


def test_a_dropped_column_waits_for_bob_and_his_word_lapses_with_the_file(world):
    commit = push(world, DROP)
    release, alice, bob = cut(world), world.person("alice"), world.person("bob")
    planned(world, release, commit)

    asked = gates.GATES["migration_risks"](facts_of(release.pk))
    with pytest.raises(Refused, match="Drops a column of events"):
        promotion_actions.promote(release, actor=alice)
    seen = dropping(release)
    approvals_actions.accept_risk(release, actor=bob, **seen, reason="nothing reads it since June")
    accepted = gates.GATES["migration_risks"](facts_of(release.pk))
    planned(world, release, world.github.push_commit("staging", EDITED, "Tidy up"))

    lapsed = gates.GATES["migration_risks"](facts_of(release.pk))

    assert (asked.state, accepted.state, lapsed.state) == (gates.ATTEST, gates.PASS, gates.ATTEST)
    assert "bob: “nothing reads it since June”" in accepted.sentence
    with pytest.raises(Refused, match="file has changed"):
        approvals_actions.accept_risk(release, actor=bob, **seen, reason="still")
    approvals_actions.accept_risk(release, actor=bob, **dropping(release), reason="still nothing")
    make_ready(world, release)
    promotion_actions.promote(release, actor=alice)
    world.work(lambda: reread(release).status == ReleaseStatus.VERIFYING)
    assert world.revisions("production") == ["7a9c1e3f5b67"]
