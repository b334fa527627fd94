"""What GitHub will demand of the merge, demand by demand: met, not met, and not known."""

from dataclasses import replace
from datetime import timedelta

import pytest

from environments.github import MergeRules
from environments.github.answers import Required
from environments.github.merging import from_json
from releases import gates
from releases.gates import FAIL, PASS, PENDING
from releases.gates.merging import merge_allowed
from tests.releases.gates.facts import NOW, a_pull, good_facts

SEEN = {"unresolved": 0, "unsigned": 0, "commits": 2, "approved": ["bob"], "asking": []}


def judged(
    rules: MergeRules | None = None, *, staging: MergeRules | None = None, release=None, **pull
):
    """What the gate says with these rules of main and this promotion pull request."""
    facts = good_facts(
        release=release, merge_rules=rules or MergeRules(), staging_rules=staging or MergeRules()
    )
    return merge_allowed(replace(facts, promotion_pull=a_pull(**pull)))


def test_nothing_is_demanded_and_github_calls_it_clean():
    assert judged().state == PASS


@pytest.mark.parametrize("word", ["clean", "unstable", "has_hooks"])
def test_githubs_good_words_answer_for_what_the_portal_cannot_reckon(word):
    rules = MergeRules(
        deployments=("staging",), others=("code_scanning",), locked=None, strict=None
    )

    assert judged(rules, merge_state=word).state == PASS


def test_a_demand_that_the_last_answer_left_out_says_so():
    facts = good_facts(merge_rules=MergeRules(queue=True), staging_rules=MergeRules())

    doubted = merge_allowed(replace(facts, rules_doubted=True))

    assert doubted.state == FAIL
    assert "required less than before: the portal reads it once more" in doubted.sentence
    assert "required less" not in merge_allowed(facts).sentence


WRONG = {
    "no merge commits": (MergeRules(methods=("squash",)), {}, "only squash"),
    "no method": (MergeRules(methods=()), {}, "no method at all"),
    "linear history": (MergeRules(linear=True), {}, "linear history"),
    "merge queue": (MergeRules(queue=True), {}, "merge queue"),
    "locked": (MergeRules(locked=True), {}, "is locked"),
    "changes requested": (
        MergeRules(approvals=1),
        {"review_decision": "changes_requested", "merging": SEEN | {"asking": ["eve"]}},
        "eve",
    ),
    "unsigned": (
        MergeRules(signatures=True),
        {"merging": SEEN | {"unsigned": 3}},
        "3 commits are not signed",
    ),
    "deletes staging": (MergeRules(deletes_heads=True), {}, "on the page Branch protections"),
    "behind": (MergeRules(), {"merge_state": "behind"}, "up to date"),
    "conflict": (MergeRules(), {"merge_state": "dirty"}, "conflicts"),
}
AWAITED = {
    "approvals": (MergeRules(approvals=2), {"review_decision": "review_required"}, "2 approvals"),
    "code owners": (
        MergeRules(code_owners=True),
        {"review_decision": "review_required"},
        "code owner",
    ),
    "last push": (MergeRules(last_push=True), {"review_decision": "review_required"}, "last push"),
    "conversations": (
        MergeRules(conversations=True),
        {"merging": SEEN | {"unresolved": 2}},
        "2 conversations are open",
    ),
}
UNKNOWN = {
    "reviews": (
        MergeRules(approvals=1),
        {"review_decision": "", "merge_state": "blocked"},
        "does not show",
    ),
    "conversations": (
        MergeRules(conversations=True),
        {"merging": SEEN | {"unresolved": None}},
        "Conversations",
    ),
    "signatures": (
        MergeRules(signatures=True),
        {"merging": SEEN | {"unsigned": None}},
        "not known whether",
    ),
    "deployments": (MergeRules(deployments=("staging",)), {}, "deployment to staging"),
    "lock": (MergeRules(locked=None), {}, "locked"),
    "others": (MergeRules(others=("code_scanning",)), {}, "code scanning"),
    "word": (MergeRules(), {}, "without a visible reason"),
}


@pytest.mark.parametrize(("rules", "pull", "message"), WRONG.values(), ids=WRONG)
def test_what_no_waiting_mends_fails_and_says_what_to_change(rules, pull, message):
    found = judged(rules, **pull)

    assert found.state == FAIL and message in found.sentence


@pytest.mark.parametrize(("rules", "pull", "message"), AWAITED.values(), ids=AWAITED)
def test_what_people_are_still_to_do_is_awaited_with_a_link(rules, pull, message):
    found = judged(rules, merge_state="blocked", **pull)

    assert found.state == PENDING and message in found.sentence
    assert any("https://github.com/acme/inspector/pull/131" in one for _, one in found.evidence)


@pytest.mark.parametrize(("rules", "pull", "message"), UNKNOWN.values(), ids=UNKNOWN)
def test_what_is_not_known_is_never_a_pass(rules, pull, message):
    found = judged(rules, **({"merge_state": "blocked"} | pull))

    assert found.state == PENDING and message in found.sentence


@pytest.mark.parametrize(
    "pull",
    [
        {"merge_state": "unknown"},
        {"merge_state": ""},
        {"merging": None},
        {"seen_at": NOW - timedelta(hours=1)},
        {"head_sha": "9" * 40},
        {"state": "closed"},
    ],
)
def test_a_pull_request_that_was_not_read_whole_is_awaited(pull):
    assert judged(**pull).state == PENDING


def test_rules_that_could_not_be_read_are_awaited():
    for name in ("merge_rules", "staging_rules"):
        assert merge_allowed(good_facts(**{name: None})).state == PENDING


def test_blocked_by_our_own_status_says_nothing_and_blocked_beyond_it_does():
    rules = MergeRules(checks=(Required("release-portal", 1001),))
    ours = [{"name": "release-portal", "state": "success", "app": 1001}]
    since = {"blocked_at": NOW - timedelta(minutes=3)}

    waiting = judged(rules, merge_state="blocked", checks=[])
    just_posted = judged(
        rules, merge_state="blocked", checks=ours, blocked_at=NOW - timedelta(seconds=5)
    )
    beyond = judged(rules, merge_state="blocked", checks=ours, **since)
    remembered = judged(rules, merge_state="blocked", checks=[], **since)

    states = [waiting.state, just_posted.state, beyond.state, remembered.state]
    assert states == [PASS, PASS, PENDING, PENDING]


def test_a_branch_behind_fails_where_up_to_date_is_demanded_and_only_there():
    strict, release = MergeRules(strict=True), {"behind": 2}

    assert judged(strict, release=release, merge_state="blocked").state == FAIL
    assert judged(MergeRules(strict=None), release=release, merge_state="blocked").state == PENDING
    assert judged(release=release).state == PASS
    assert judged(strict).state == PASS


def test_a_head_branch_that_may_not_be_deleted_survives_the_merge():
    assert judged(MergeRules(deletes_heads=True), staging=MergeRules(deletable=False)).state == PASS


@pytest.mark.parametrize(
    "rules", [MergeRules(linear=True), MergeRules(queue=True), MergeRules(locked=True)]
)
def test_a_staging_that_cannot_be_fast_forwarded_is_refused_beforehand(rules):
    assert judged(staging=rules).state == FAIL


def test_a_verdict_that_could_not_be_posted_stops_the_promotion_and_is_no_part_of_itself():
    facts = good_facts(verdict_problem="GitHub refuses to post a commit status.")
    readiness = gates.readiness_of(facts)

    assert [line.gate for line in readiness.missing] == ["verdict_told"]
    assert gates.verdict(facts, readiness)[0] == "success"


def test_a_required_check_counts_only_from_its_own_app():
    bound = MergeRules(checks=(Required("python-ci", 15368),))
    other = a_pull(checks=[{"name": "python-ci", "state": "success", "app": 1}])
    own = a_pull(checks=[{"name": "python-ci", "state": "success", "app": 15368}])

    found = gates.GATES["ci_green"](good_facts(merge_rules=bound, promotion_pull=other))

    assert found.state == PENDING and "App 15368" in found.sentence
    assert gates.GATES["ci_green"](good_facts(merge_rules=bound, promotion_pull=own)).state == PASS


@pytest.mark.parametrize(
    ("app", "by", "state"),
    [
        (15368, "mallory", PENDING),  # a person, with a name that CI has
        (15368, "circleci[bot]", PENDING),
        (15368, "github-actions[bot]", PASS),
        (18001, "circleci[bot]", PASS),  # which App a bot is, GitHub says at the merge
        (18001, "github-actions[bot]", PENDING),  # any workflow of any branch may post as it
        (18001, "", PENDING),
    ],
)
def test_a_status_of_that_name_by_anybody_else_is_no_pass(app, by, state):
    bound = MergeRules(checks=(Required("python-ci", app),))
    status = {"name": "python-ci", "state": "success", "app": None, "by": by}
    facts = good_facts(merge_rules=bound, promotion_pull=a_pull(checks=[status]))

    found = gates.GATES["ci_green"](facts)

    assert found.state == state
    if state == PENDING and by:
        assert f"that of {by} does not count" in found.sentence


def test_a_status_of_others_beside_the_green_one_of_the_app_changes_nothing_for_the_better():
    bound = MergeRules(checks=(Required("python-ci", 15368),))
    forged = {"name": "python-ci", "state": "success", "app": None, "by": "mallory"}
    own = {"name": "python-ci", "state": "failure", "app": 15368}
    pull = a_pull(checks=[own, forged])

    assert gates.GATES["ci_green"](good_facts(merge_rules=bound, promotion_pull=pull)).state == FAIL


def test_checks_read_too_long_ago_are_not_green():
    old = a_pull(checks_at=NOW - timedelta(hours=1))

    assert gates.GATES["ci_green"](good_facts(promotion_pull=old)).state == PENDING


def test_rules_come_back_from_their_row_as_they_were():
    rules = MergeRules(
        checks=(Required("ci", 1), Required("x")), strict=None, methods=("merge",), others=("y",)
    )

    assert from_json(rules.as_json()) == rules


CLOSED = MergeRules(pull_required=True)


@pytest.mark.parametrize(
    ("closed", "app", "state", "message"),
    [
        (True, "", FAIL, "cannot fast-forward it to main"),
        (True, "release-portal", FAIL, "cannot fast-forward it to main"),
        (None, "", PENDING, "cannot tell whether"),
        (None, "release-portal", PASS, ""),
        (False, "", PASS, ""),
    ],
)
def test_staging_that_the_portal_cannot_move_afterwards_is_said_before_the_promotion(
    closed, app, state, message
):
    facts = good_facts(staging_rules=CLOSED, staging_closed=closed, project={"portal_app": app})

    found = merge_allowed(facts)

    assert found.state == state and message in found.sentence
    assert merge_allowed(replace(facts, staging_rules=MergeRules())).state == PASS


def test_a_hotfix_reaches_staging_by_a_pull_request_so_nothing_is_fast_forwarded():
    facts = good_facts(staging_rules=CLOSED, staging_closed=True, release={"kind": "hotfix"})

    assert merge_allowed(facts).state == PASS
