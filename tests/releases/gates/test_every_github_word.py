"""Every word of every enum in the answers that the portal asks GitHub for has a meaning here."""

from dataclasses import replace
from pathlib import Path

import pytest
from graphql import build_schema

from environments.github import MergeRules
from environments.github.answers import read_check
from environments.github.merging import read_merge_rules
from environments.github.overview_questions import DOCUMENT, MERGE_DOCUMENT
from releases.gates.branches import judge_checks, promotion_open
from releases.gates.merging import merge_allowed
from releases.gates.result import FAIL, PASS, PENDING
from tests.environments.railway.test_every_enum import enums_in
from tests.releases.gates.facts import NOW, a_pull, good_facts

SHARED = Path(__file__).resolve().parents[3] / ".." / "shared" / "github" / "schema_subset.graphql"
MORE = Path(__file__).resolve().parents[2] / "portal" / "sandbox_github" / "merge_rules.graphql"
# What a required check is while it is in this state, and after it ended so.
RUNS = dict.fromkeys(["IN_PROGRESS", "PENDING", "QUEUED", "REQUESTED", "WAITING"], PENDING)
STATUSES = RUNS | {"COMPLETED": FAIL}  # without a conclusion
CONCLUSIONS = {
    "ACTION_REQUIRED": FAIL,
    "CANCELLED": FAIL,
    "FAILURE": FAIL,
    "NEUTRAL": FAIL,
    "SKIPPED": FAIL,
    "STALE": FAIL,
    "STARTUP_FAILURE": FAIL,
    "SUCCESS": PASS,
    "TIMED_OUT": FAIL,
}
STATES = {"ERROR": FAIL, "EXPECTED": PENDING, "FAILURE": FAIL, "PENDING": PENDING, "SUCCESS": PASS}
# Whether the promotion pull request can be merged.
MERGEABLE = {"CONFLICTING": FAIL, "MERGEABLE": PASS, "UNKNOWN": PENDING}
PULLS = {"CLOSED": FAIL, "MERGED": FAIL, "OPEN": PASS}
# Whether GitHub would merge it now.
MERGES = {
    "BEHIND": FAIL,
    "BLOCKED": PENDING,
    "CLEAN": PASS,
    "DIRTY": FAIL,
    "DRAFT": FAIL,
    "HAS_HOOKS": PASS,
    "UNKNOWN": PENDING,
    "UNSTABLE": PASS,
}
# Whether a pull request that needs a review has it.
DECISIONS = {"APPROVED": PASS, "CHANGES_REQUESTED": FAIL, "REVIEW_REQUIRED": PENDING}
# Rules of a branch: the field of `MergeRules` that holds it, "" for one that no merge meets.
RULES = {
    "AUTHORIZATION": "others",
    "BRANCH_NAME_PATTERN": "",
    "CODE_SCANNING": "others",
    "COMMITTER_EMAIL_PATTERN": "others",
    "COMMIT_AUTHOR_EMAIL_PATTERN": "others",
    "COMMIT_MESSAGE_PATTERN": "others",
    "CREATION": "",
    "DELETION": "deletable",
    "FILE_EXTENSION_RESTRICTION": "",
    "FILE_PATH_RESTRICTION": "",
    "LOCK_BRANCH": "locked",
    "MAX_FILE_PATH_LENGTH": "",
    "MAX_FILE_SIZE": "",
    "MAX_REF_UPDATES": "",
    "MERGE_QUEUE": "queue",
    "MERGE_QUEUE_LOCKED_REF": "queue",
    "NON_FAST_FORWARD": "",
    "PULL_REQUEST": "pull_required",
    "REQUIRED_DEPLOYMENTS": "deployments",
    "REQUIRED_LINEAR_HISTORY": "linear",
    "REQUIRED_REVIEW_THREAD_RESOLUTION": "conversations",
    "REQUIRED_SIGNATURES": "signatures",
    "REQUIRED_STATUS_CHECKS": "checks",
    "REQUIRED_WORKFLOW_STATUS_CHECKS": "others",
    "SECRET_SCANNING": "others",
    "TAG": "",
    "TAG_NAME_PATTERN": "",
    "UPDATE": "locked",
    "WORKFLOWS": "others",
    "WORKFLOW_UPDATES": "",
}
# Words of a review: who approved and who asks for changes is told, the decision is GitHub's.
REVIEWS = dict.fromkeys(["APPROVED", "CHANGES_REQUESTED", "COMMENTED", "DISMISSED", "PENDING"])
MEANT = {
    "CheckConclusionState": CONCLUSIONS,
    "CheckStatusState": STATUSES,
    "MergeStateStatus": MERGES,
    "MergeableState": MERGEABLE,
    "PullRequestReviewDecision": DECISIONS,
    "PullRequestReviewState": REVIEWS,
    "PullRequestState": PULLS,
    "RepositoryRuleType": RULES,
    "StatusState": STATES,
}


def judged(node: dict) -> str:
    check = read_check(node)
    row = {"name": check.name, "state": check.state}
    return judge_checks([row], ("ci",), NOW).state


@pytest.mark.parametrize(("status", "meant"), STATUSES.items())
def test_every_status_of_a_check_run(status, meant):
    assert judged({"__typename": "CheckRun", "name": "ci", "status": status}) == meant


@pytest.mark.parametrize(("conclusion", "meant"), CONCLUSIONS.items())
def test_every_conclusion_of_a_check_run(conclusion, meant):
    run = {"__typename": "CheckRun", "name": "ci", "status": "COMPLETED"}

    assert judged(run | {"conclusion": conclusion}) == meant


@pytest.mark.parametrize(("state", "meant"), STATES.items())
def test_every_state_of_a_commit_status(state, meant):
    assert judged({"__typename": "StatusContext", "context": "ci", "state": state}) == meant


@pytest.mark.parametrize(
    ("field", "word", "meant"),
    [("mergeable", *one) for one in MERGEABLE.items()] + [("state", *one) for one in PULLS.items()],
)
def test_every_word_about_the_promotion_pull_request(field, word, meant):
    facts = good_facts()
    pull = a_pull(**{field: word.lower()})

    assert promotion_open(replace(facts, promotion_pull=pull)).state == meant


@pytest.mark.parametrize(
    ("field", "word", "meant"),
    [("merge_state", *one) for one in MERGES.items()]
    + [("review_decision", *one) for one in DECISIONS.items()],
)
def test_every_word_about_the_merge(field, word, meant):
    rules = MergeRules(approvals=1 if field == "review_decision" else 0)
    pull = a_pull(**{field: word.lower()})

    found = merge_allowed(replace(good_facts(), merge_rules=rules, promotion_pull=pull))

    assert found.state == meant, found.sentence


@pytest.mark.parametrize(("word", "meant"), RULES.items())
def test_every_rule_of_a_branch(word, meant):
    parameters = {
        "PULL_REQUEST": {
            "requireCodeOwnerReview": False,
            "requireLastPushApproval": False,
            "requiredReviewThreadResolution": False,
            "requiredApprovingReviewCount": 1,
        },
        "REQUIRED_DEPLOYMENTS": {"requiredDeploymentEnvironments": ["live"]},
        "REQUIRED_STATUS_CHECKS": {
            "requiredStatusChecks": [{"context": "ci"}],
            "strictRequiredStatusChecksPolicy": False,
        },
    }
    methods = ["mergeCommitAllowed", "squashMergeAllowed", "rebaseMergeAllowed"]
    repository = dict.fromkeys(methods, True) | {"deleteBranchOnMerge": False}
    rule = {"type": word, "parameters": parameters.get(word)}
    ref = {"rules": {"nodes": [rule]}, "refUpdateRule": None, "branchProtectionRule": None}

    found, plain = read_merge_rules(ref, repository), MergeRules()

    assert found is not None
    changed = {name for name in vars(plain) if getattr(found, name) != getattr(plain, name)}
    assert (meant in changed) if meant else not changed


@pytest.mark.official
@pytest.mark.skipif(not SHARED.exists(), reason="../shared/github is missing here")
def test_every_enum_that_is_asked_for_is_known_here_with_all_its_words():
    schema = build_schema(SHARED.read_text() + MORE.read_text(), assume_valid=True)

    named = "named1: pullRequest(number: 1) { ...Pull ...Merging }"
    asked = [one.replace("# named", named) for one in (DOCUMENT, MERGE_DOCUMENT)]
    found = set().union(*(enums_in(schema, one) for one in asked))

    assert {name: set(schema.type_map[name].values) for name in found} == {
        name: set(words) for name, words in MEANT.items()
    }
