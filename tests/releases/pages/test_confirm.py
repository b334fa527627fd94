"""What the question before a promotion lists."""

from dataclasses import replace

import pytest

from environments.models import Runner
from environments.schema.plan.risk import Risk
from releases.pages.confirm import confirmation
from releases.pages.migrations import DatabasePanel, MigrationRow
from tests.releases.gates.facts import a_database, good_facts

DROP = Risk("drop-table", "danger", "a1", "0" * 64, "Drops notes.", loses_data=True)
INDEX = Risk("index-lock", "danger", "a1", "0" * 64, "Locks notes.")


@pytest.mark.parametrize(
    ("runner", "risk", "said"),
    [(Runner.VERIFY, DROP, True), (Runner.VERIFY, INDEX, False), (Runner.PORTAL, DROP, False)],
)
def test_that_railways_own_migration_is_without_a_backup_is_said_where_rows_may_be_lost(
    runner, risk, said
):
    one = a_database()
    one.database.runner, one.database.called = runner, ""
    row = MigrationRow({"id": "a1"}, risks=(("fail", risk),))
    panel = DatabasePanel("", (row,), (), ("", ""), None, "", ())
    facts = replace(good_facts(), databases=(one,))

    risks = confirmation(facts, [panel], "").risks

    assert risks[0] == f"a1: {risk.sentence}"
    assert (
        "Railway migrates production's database itself: no backup is taken. Take one there"
        " first." in risks
    ) is said
