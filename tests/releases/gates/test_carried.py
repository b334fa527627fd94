"""What was rolled back ships again only when a person has said so."""

from dataclasses import replace

import pytest

from releases.gates import FAIL, GATES, PASS, PENDING
from tests.releases.gates.facts import BASE, CANDIDATE, a_live, good_facts

CARRIED = {
    "candidate": CANDIDATE,
    "base": BASE,
    "serves": ["e" * 40],
    "count": 1,
    "commits": [{"sha": "f" * 40, "title": "Release 2026.11.21-1", "author": "maria"}],
    "releases": [{"pk": 7, "name": "2026.11.21-1", "reverted": False}],
}


def after_a_rollback(**carried):
    facts = good_facts()
    release = facts.release
    release.base, release.carried, release.carry_confirmed = BASE, CARRIED | carried, {}
    serves = a_live(kind="production", commit="e" * 40)
    live = dict(facts.live) | {"production": (serves,)}
    return replace(facts, was_rolled_back=True, live=live)


def test_a_project_that_never_rolled_back_is_asked_nothing():
    assert GATES["carries"](good_facts()).state == PASS


def test_a_rolled_back_release_is_named_and_stops_the_promotion_until_a_person_confirms():
    facts = after_a_rollback()

    result = GATES["carries"](facts)
    assert result.state == FAIL
    assert "ships 2026.11.21-1 again" in result.sentence
    assert result.evidence == (("fffffff", "Release 2026.11.21-1"),)

    facts.release.carry_confirmed = {
        "names": ["2026.11.21-1"],
        "candidate": CANDIDATE,
        "by": "alice",
    }
    assert GATES["carries"](facts).state == PASS


@pytest.mark.parametrize(
    "confirmed",
    [
        {"names": ["2026.11.21-1"], "candidate": "9" * 40, "by": "alice"},
        {"names": ["another"], "candidate": CANDIDATE, "by": "alice"},
    ],
)
def test_a_word_about_another_candidate_or_release_does_not_count(confirmed):
    facts = after_a_rollback()
    facts.release.carry_confirmed = confirmed

    assert GATES["carries"](facts).state == FAIL


def test_what_is_reverted_may_go():
    reverted = [{"pk": 7, "name": "2026.11.21-1", "reverted": True}]
    assert GATES["carries"](after_a_rollback(releases=reverted)).state == PASS


@pytest.mark.parametrize("key", ["candidate", "base", "serves"])
def test_what_was_read_for_another_moment_is_being_read(key):
    result = GATES["carries"](after_a_rollback(**{key: "9" * 40}))

    assert (result.state, "Reading" in result.sentence) == (PENDING, True)
