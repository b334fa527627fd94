"""A demand of GitHub's that one reading no longer shows stands until the next one agrees."""

from dataclasses import replace

import pytest
from django.utils import timezone

from environments.github.answers import Required
from environments.github.merging import MergeRules, from_json, is_doubted
from environments.models import Branch
from releases.github_mirror.kept_rules import kept_rules
from releases.github_mirror.sync import apply
from tests.factory import make_project
from tests.releases.test_relation import NOTHING_SEEN

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


def test_what_is_demanded_anew_counts_at_once_although_something_else_is_demanded_no_more():
    before = replace(STRICT, queue=False, methods=("merge", "squash"), checks=())
    found = replace(STRICT, linear=False, approvals=3, methods=("squash", "rebase"))

    once = kept_rules(before.as_json(), found)

    assert from_json(once) == replace(STRICT, approvals=3, methods=("squash",))
    assert kept_rules(once, found) == found.as_json()


def test_the_first_reading_counts_and_what_is_not_shown_is_not_known():
    assert kept_rules(None, STRICT) == STRICT.as_json()
    assert kept_rules(STRICT.as_json(), None) is None


@pytest.mark.django_db
def test_a_required_check_that_one_answer_leaves_out_is_still_required():
    project, strict = make_project(), MergeRules(checks=(Required("ci", 7), Required("lint")))

    asked = [read(project, strict), read(project, MergeRules()), read(project, MergeRules())]

    assert asked == [(["ci", "lint"], False), (["ci", "lint"], True), ([], False)]


def read(project, rules: MergeRules) -> tuple[list[str], bool]:
    """The checks that main requires after such a reading; whether one more is to confirm it."""
    found = replace(NOTHING_SEEN, rules={"main": rules, "staging": MergeRules()})
    branches = apply(project, found, now=timezone.now())
    is_to_confirm = any(is_doubted(row.merge_rules) for row in branches)
    return Branch.objects.get(name="main").required_contexts, is_to_confirm
