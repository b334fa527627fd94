"""A few of the generated schemas of `schema_drift`; `make faults` holds 200."""

import pytest

from tests.faults import schema_drift

pytestmark = pytest.mark.slow


def test_generated_schemas_differ_by_nothing_but_what_was_changed_by_hand():
    counts = schema_drift.run(3, first=1)

    assert counts.false == [] and counts.missed == []
    assert counts.plain > 0, "there is nothing that PostgreSQL words differently"
    assert sum(counts.found.values()) == 3 and counts.statements > 150
