"""A demand of GitHub's that one reading no longer shows stands until the next one agrees."""

from dataclasses import replace

import pytest

from environments.github.answers import Required
from environments.github.merging import MergeRules, from_json
from releases.github_mirror.kept_rules import kept_rules

STRICT = MergeRules(
    checks=(Required("ci", 7), Required("lint", None)),
    strict=True,
    approvals=2,
    code_owners=True,
    last_push=None,
    conversations=True,
    signatures=True,
    linear=True,
    queue=True,
    locked=True,
    deployments=("staging",),
    others=("code_scanning",),
    methods=("squash",),
    pull_required=True,
    deletable=True,
    deletes_heads=True,
)
LIGHTER = {
    "checks": (Required("lint", None),),
    "strict": None,
    "approvals": 1,
    "code_owners": False,
    "last_push": False,
    "conversations": False,
    "signatures": False,
    "linear": False,
    "queue": False,
    "locked": False,
    "deployments": (),
    "others": (),
    "methods": ("merge", "squash"),
    "pull_required": False,
    "deletable": False,
    "deletes_heads": False,
}


def test_every_field_has_a_lighter_value_here():
    assert LIGHTER.keys() == MergeRules.__dataclass_fields__.keys()


@pytest.mark.parametrize("name", LIGHTER)
def test_what_is_demanded_no_more_is_read_twice_and_what_is_demanded_anew_once(name):
    lighter = replace(STRICT, **{name: LIGHTER[name]})

    once = kept_rules(STRICT.as_json(), lighter)
    twice = kept_rules(once, lighter)

    assert (from_json(once), from_json(twice)) == (STRICT, lighter)
    assert kept_rules(once, STRICT) == STRICT.as_json(), "the reading before was wrong"
    assert kept_rules(lighter.as_json(), STRICT) == STRICT.as_json()


def test_two_readings_that_lost_different_values_take_nothing_back():
    once = kept_rules(STRICT.as_json(), replace(STRICT, queue=False))

    assert from_json(kept_rules(once, replace(STRICT, linear=False))) == STRICT


def test_the_first_reading_counts_and_what_is_not_shown_is_not_known():
    assert kept_rules(None, STRICT) == STRICT.as_json()
    assert kept_rules(STRICT.as_json(), None) is None
