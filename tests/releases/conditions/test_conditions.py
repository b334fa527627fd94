"""A condition that cannot be told never takes an item off the checklist."""

import pytest

from releases.conditions.registry import CONDITIONS, choices, counts
from releases.models.checklist import ChecklistTemplateItem
from releases.models.releases import Release

BROUGHT = [{"id": "a1", "sha256": "a" * 64, "path": "a1.py"}]


@pytest.mark.parametrize(
    ("migrations", "problem", "holds", "counted"),
    [(BROUGHT, "", True, True), ([], "", False, False), ([], "Two heads.", None, True)],
)
def test_only_with_migrations_is_three_valued(migrations, problem, holds, counted):
    release = Release(migrations=migrations, migrations_problem=problem)

    assert CONDITIONS["migrations"].function(release) is holds
    assert counts("migrations", release) is counted


def test_an_item_of_an_unknown_condition_is_asked():
    assert counts("of another version", Release())


def test_every_condition_can_be_chosen():
    assert ChecklistTemplateItem._meta.get_field("condition").flatchoices == choices()
