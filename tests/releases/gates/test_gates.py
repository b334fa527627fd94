"""What is missing, stale, skipped, unreadable or new is never green."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from environments.models import Finding
from environments.schema.plan.risk import Risk
from portal.jobs import JobStatus
from releases import gates
from releases.gates import ATTEST, FAIL, PASS, PENDING
from releases.gates.plan import Acceptance
from releases.models.approvals import Approval
from releases.models.checklist import ChecklistItem
from releases.models.promotion import Promotion, PromotionStep
from tests.releases.gates.facts import (
    BASE,
    CANDIDATE,
    MERGE,
    NOW,
    REVISION,
    a_live,
    a_place,
    a_plan,
    a_pull,
    a_rehearsal,
    a_run,
    good_facts,
)

LONG_AGO = NOW - timedelta(hours=3)


def test_everything_is_green_when_all_is_well():
    readiness = gates.readiness_of(good_facts())

    assert readiness.ready
    assert gates.verdict(good_facts(), readiness) == ("success", "Release 2026.11.22-1 is ready.")


@pytest.mark.parametrize(
    ("deployment", "state", "words"),
    [
        ({"status": "SUCCESS"}, PASS, "serve the candidate"),
        ({"status": "SLEEPING", "stopped": True}, PASS, "serve the candidate"),
        ({"status": "BUILDING"}, PENDING, "is deploying"),
        ({"status": "NEEDS_APPROVAL"}, PENDING, "waits for an approval"),
        ({"status": "FAILED"}, FAIL, "is not live"),
        ({"status": "CRASHED"}, FAIL, "is not live"),
        ({"status": "SKIPPED"}, FAIL, "is not live"),
        ({"status": "REMOVED"}, FAIL, "is not live"),
        ({"status": "BRAND_NEW_WORD"}, FAIL, "is not live"),
        ({"status": ""}, FAIL, "is not live"),
        ({"stopped": True}, FAIL, "is stopped"),
        ({"is_active": False}, PENDING, "does not list it as active"),
        ({"commit": BASE}, FAIL, "serves bbbbbbb, not aaaaaaa"),
        ({"commit": ""}, FAIL, "was uploaded by Railway's CLI, without a commit"),
    ],
)
def test_staging_is_healthy_only_when_every_service_serves_the_candidate(deployment, state, words):
    facts = good_facts()
    live = {**facts.live, "staging": (a_live("backend", **deployment), a_live("frontend"))}

    result = gates.GATES["staging_healthy"](replace(facts, live=live))

    assert result.state == state
    assert words in result.sentence


def test_a_service_without_a_deployment_is_named():
    facts = good_facts()
    silent = replace(a_live("frontend"), latest=None, active=())

    result = gates.GATES["staging_healthy"](
        replace(facts, live={"staging": (a_live("backend"), silent)})
    )

    assert (result.state, result.sentence) == (FAIL, "In staging, frontend has no deployment.")


def test_a_service_that_could_not_be_read_lately_is_pending():
    facts = good_facts()
    unread = a_live("frontend")
    unread.instance.seen_at = LONG_AGO

    assert (
        gates.GATES["staging_healthy"](replace(facts, live={"staging": (unread,)})).state == PENDING
    )


@pytest.mark.parametrize(
    ("pull", "state"),
    [
        ({}, PASS),
        ({"state": "closed"}, FAIL),
        ({"state": "merged"}, FAIL),
        ({"draft": True}, FAIL),
        ({"mergeable": "conflicting"}, FAIL),
        ({"mergeable": "unknown"}, PENDING),
        ({"mergeable": ""}, PENDING),
        ({"head_sha": BASE}, PENDING),
        ({"seen_at": LONG_AGO}, PENDING),
    ],
)
def test_the_promotion_pull_request_must_be_open_at_the_candidate_and_mergeable(pull, state):
    assert gates.GATES["promotion_open"](good_facts(promotion_pull=a_pull(**pull))).state == state


@pytest.mark.parametrize(
    ("checks", "state"),
    [
        ([{"name": "python-ci", "state": "success"}], PASS),
        ([{"name": "python-ci", "state": "success"}, {"name": "lint", "state": "skipped"}], PASS),
        ([{"name": "python-ci", "state": "skipped"}], FAIL),
        ([{"name": "python-ci", "state": "neutral"}], FAIL),
        ([{"name": "python-ci", "state": "failure"}], FAIL),
        ([{"name": "python-ci", "state": "a_new_word"}], FAIL),
        (
            [{"name": "python-ci", "state": "success"}, {"name": "python-ci", "state": "failure"}],
            FAIL,
        ),
        ([{"name": "python-ci", "state": "success"}, {"name": "lint", "state": "failure"}], FAIL),
        ([{"name": "python-ci", "state": "in_progress"}], PENDING),
        ([{"name": "python-ci", "state": ""}], PENDING),
        ([{"name": "lint", "state": "success"}], PENDING),
        (
            [
                {"name": "release-portal", "state": "failure"},
                {"name": "python-ci", "state": "success"},
            ],
            PASS,
        ),
        ([], PENDING),
        (None, PENDING),
    ],
)
def test_ci_is_green_only_when_every_required_check_succeeded(checks, state):
    assert gates.GATES["ci_green"](good_facts(promotion_pull=a_pull(checks=checks))).state == state


def test_ci_is_pending_when_nobody_says_what_is_required():
    assert gates.GATES["ci_green"](good_facts(required_contexts=None)).state == PENDING


def test_ci_without_any_check_is_not_green_even_when_nothing_is_required():
    facts = good_facts(required_contexts=(), promotion_pull=a_pull(checks=[]))

    assert gates.GATES["ci_green"](facts).state == PENDING


STAGED = (REVISION["id"], REVISION["sha256"])


@pytest.mark.parametrize(
    ("run", "staged", "state"),
    [
        ({}, {STAGED: NOW - timedelta(hours=1)}, PASS),
        ({}, {(REVISION["id"], "e" * 64): NOW - timedelta(hours=1)}, FAIL),  # edited since
        ({}, {}, PENDING),
        ({"status": JobStatus.FAILED}, {}, FAIL),
        ({"status": JobStatus.NEEDS_PERSON}, {}, FAIL),
        (
            {"status": JobStatus.RUNNING, "finished_at": None},
            {STAGED: NOW - timedelta(hours=1)},
            PENDING,
        ),
        ({}, {STAGED: NOW - timedelta(minutes=18)}, PENDING),
    ],
)
def test_migrations_must_have_succeeded_in_staging_with_the_same_files_and_soaked(
    run, staged, state
):
    assert (
        gates.GATES["migrations_ready"](good_facts(runs=(a_run(**run),), staged=staged)).state
        == state
    )


def test_staging_at_another_revision_is_not_ready():
    facts = good_facts()
    facts.databases[0].places["staging"].revisions = ["elsewhere"]

    assert gates.GATES["migrations_ready"](facts).state == FAIL


def test_staging_that_cannot_be_read_is_pending():
    facts = good_facts()
    facts.databases[0].places["staging"].revisions = None

    assert gates.GATES["migrations_ready"](facts).state == PENDING


def test_a_problem_in_the_migrations_fails_with_its_sentence():
    facts = good_facts(release={"migrations_problem": "Two heads: a.py and b.py."})

    assert gates.GATES["migrations_ready"](facts) == gates.Result(FAIL, "Two heads: a.py and b.py.")


def test_what_cannot_be_seen_waits_for_a_signature_that_counts_for_this_candidate_only():
    sealed = Finding(
        kind="address", subject="STRIPE_KEY", sentence="STRIPE_KEY is sealed.", attestable=True
    )
    facts = good_facts(findings=(sealed,))
    item = facts.items[0]

    assert gates.GATES["environments_coherent"](facts).state == ATTEST
    assert not gates.readiness_of(facts).ready

    item.ticked_at, item.ticked_candidate, item.note = NOW, CANDIDATE, "has its own"
    assert gates.readiness_of(facts).ready

    item.ticked_candidate = BASE
    assert not gates.readiness_of(facts).ready


def test_an_open_finding_fails():
    wrong = Finding(
        kind="branch",
        subject="x",
        sentence="backend in staging follows main; it should follow staging.",
    )

    assert gates.GATES["environments_coherent"](good_facts(findings=(wrong,))).state == FAIL


def test_what_could_not_be_read_lately_is_not_coherent():
    facts = good_facts()
    facts.live["staging"][0].instance.seen_at = NOW - timedelta(hours=1)

    result = gates.GATES["environments_coherent"](facts)

    assert (result.state, "backend in staging could not be read recently" in result.sentence) == (
        PENDING,
        True,
    )


@pytest.mark.parametrize(
    "gate", [gates.GATES["migrations_ready"], gates.GATES["production_at_head"]]
)
def test_a_database_that_was_read_too_long_ago_proves_nothing(gate):
    facts = good_facts(release={"merge_commit": MERGE})
    for place in facts.databases[0].places.values():
        place.revisions_at = NOW - timedelta(hours=1)

    assert gate(facts).state == PENDING


def test_a_tick_that_lapsed_counts_no_more():
    item = ChecklistItem(
        text="Release notes read", ticked_at=NOW, ticked_candidate=CANDIDATE, lapsed_at=NOW
    )

    assert not gates.readiness_of(good_facts(items=(item,))).ready


def test_an_item_naming_a_gate_that_does_not_exist_fails():
    facts = good_facts(items=(ChecklistItem(text="?", gate="no_such_gate"),))

    assert gates.readiness_of(facts).missing[0].result.state == FAIL


def approval(user_id=2, **values):
    from django.contrib.auth.models import User

    may, active = values.pop("may", True), values.pop("active", True)
    user = User(pk=user_id, username=f"user{user_id}", is_active=active)
    given = Approval(
        user=user,
        content=values.pop("content", gates.content_digest(good_facts().release)),
        **values,
    )
    given.giver_may = may
    return given


@pytest.mark.parametrize(
    ("approvals", "state"),
    [
        ((), PENDING),
        ((approval(2),), PASS),
        ((approval(1),), PENDING),  # whoever cut it
        ((approval(2, content="older"),), PENDING),
        ((approval(2, active=False),), PENDING),
        ((approval(2, may=False),), PENDING),  # lost the role since, or gave it to themselves
        ((approval(2, lapsed_at=NOW, lapsed_why="configuration changed: runner"),), PENDING),
    ],
)
def test_an_approval_counts_for_exactly_this_content_and_from_another_person(approvals, state):
    facts = good_facts(project={"required_approvals": 1}, approvals=approvals)

    assert gates.GATES["approved"](facts).state == state
    assert gates.readiness_of(facts).ready is (state == PASS)


def test_the_content_changes_with_every_file_hash():
    edited = good_facts(release={"migrations": [REVISION | {"sha256": "e" * 64}]})

    assert gates.content_digest(edited.release) != gates.content_digest(good_facts().release)


def test_a_freeze_stops_the_promotion_and_says_why():
    readiness = gates.readiness_of(good_facts(freeze="Black Friday"))

    assert [line.result.sentence for line in readiness.missing] == [
        "Promotions are frozen: Black Friday"
    ]


@pytest.mark.parametrize("field", ["github_seen_at", "railway_seen_at"])
@pytest.mark.parametrize("seen", [None, LONG_AGO])
def test_nothing_is_ready_on_rows_that_are_missing_or_stale(field, seen):
    facts = good_facts(**{field: seen})

    assert not gates.readiness_of(facts).ready


@pytest.mark.parametrize("status", ["pending", "active", "failed", "skipped"])
def test_smoke_tests_are_green_only_when_the_step_is_done(status):
    step = PromotionStep(promotion=Promotion(), name="smoke", status=status, sentence="x")

    assert gates.GATES["smoke_green"](good_facts(steps=(step,))).state != PASS


def test_production_is_at_head_only_by_a_reading_after_the_candidate_was_pinned():
    facts = good_facts(release={"merge_commit": MERGE, "candidate_at": NOW + timedelta(seconds=1)})

    assert gates.GATES["production_at_head"](facts).state == PENDING


WORDS = st.sampled_from(
    [
        "SUCCESS",
        "SLEEPING",
        "FAILED",
        "CRASHED",
        "QUEUED",
        "SKIPPED",
        "REMOVED",
        "",
        "NEW",
        "success",
        "NEEDS_APPROVAL",
    ]
)


@settings(max_examples=300, deadline=None)
@given(WORDS, st.sampled_from([CANDIDATE, BASE, ""]), st.booleans(), st.booleans(), st.booleans())
def test_no_state_of_a_deployment_but_the_two_good_ones_is_green(
    status, commit, stopped, active, fresh
):
    live = a_live(status=status, commit=commit, stopped=stopped, is_active=active)
    live.instance.seen_at = NOW if fresh else LONG_AGO

    result = gates.GATES["staging_healthy"](good_facts(live={"staging": (live,)}))

    good = (
        commit == CANDIDATE
        and active
        and fresh
        and (status == "SLEEPING" or (status == "SUCCESS" and not stopped))
    )
    assert result.passed == good


DROP = Risk(
    "drop-column", "danger", REVISION["id"], REVISION["sha256"], "Drops a column of events."
)
NOTE = Risk(
    "expand", "info", REVISION["id"], REVISION["sha256"], "The candidate is live before this."
)
YES = Acceptance(
    REVISION["id"], REVISION["sha256"], ("danger drop-column",), "bob", "nobody reads it"
)


@pytest.mark.parametrize(
    ("planned", "state"),
    [
        (a_plan(NOTE), PASS),
        (None, PENDING),
        (a_plan(status="running"), PENDING),
        (a_plan(steps=()), PENDING),
        (a_plan(met={"order": "migrate_first"}), PENDING),
        (a_plan(status="failed", sentence="Two heads."), FAIL),
        (a_plan(DROP, NOTE), ATTEST),
        (a_plan(DROP, accepted=(replace(YES, sha256="e" * 64),)), ATTEST),
        (a_plan(DROP, accepted=(replace(YES, revision="other"),)), ATTEST),
        (a_plan(DROP, accepted=(replace(YES, risks=("caution drop-column",)),)), ATTEST),
        (a_plan(DROP, replace(DROP, code="rename"), accepted=(YES,)), ATTEST),
        (a_plan(DROP, accepted=(YES,)), PASS),
    ],
)
def test_a_risk_waits_for_a_word_on_exactly_this_file_and_this_risk(planned, state):
    facts = good_facts(planned=planned)

    assert gates.GATES["migration_risks"](facts).state == state
    assert gates.readiness_of(facts).ready == (state == PASS)


def test_a_release_without_migrations_has_no_risks():
    assert (
        gates.GATES["migration_risks"](good_facts(release={"migrations": []}, planned=None)).state
        == PASS
    )


def test_a_checklist_item_cannot_stand_in_for_the_approver():
    gate = gates.GATES["migration_risks"]

    assert gate.always and not gate.listed


@pytest.mark.parametrize("read_at", [None, LONG_AGO])
def test_it_waits_while_the_variables_were_not_read_lately(read_at):
    known = good_facts()
    known.environments["production"].variables_at = read_at

    result = gates.GATES["environments_coherent"](known)

    assert result.state == gates.PENDING and "variables of production" in result.sentence


def production_at(*revisions: str, **values):
    """Where the database is, with production's there."""
    return {
        "staging": a_place("staging"),
        "production": a_place("production", *revisions, **values),
    }


@pytest.mark.parametrize(
    ("state", "row", "places"),
    [
        (PASS, a_rehearsal(), production_at("2a8f45e9")),
        (PASS, a_rehearsal(warnings=("The way back is not there.",)), production_at("2a8f45e9")),
        (PASS, None, production_at(REVISION["id"])),
        (FAIL, a_rehearsal(status="failed"), production_at("2a8f45e9")),
        (ATTEST, a_rehearsal(status="needs_person"), production_at("2a8f45e9")),
        (PENDING, None, production_at("2a8f45e9")),
        (PENDING, a_rehearsal(kind="staging"), production_at("2a8f45e9")),
        (PENDING, a_rehearsal(status="running"), production_at("2a8f45e9")),
        (PENDING, a_rehearsal(status="cancelled"), production_at("2a8f45e9")),
        (PENDING, a_rehearsal(status="a new word", finished_at=None), production_at("2a8f45e9")),
        (PENDING, a_rehearsal(), production_at("another")),
        (PENDING, a_rehearsal(status="failed"), production_at("another")),
        (PENDING, a_rehearsal(start=None), production_at("2a8f45e9")),
        (PENDING, a_rehearsal(finished_at=NOW - timedelta(hours=25)), production_at("2a8f45e9")),
        (PENDING, a_rehearsal(files=[REVISION | {"sha256": "e" * 64}]), production_at("2a8f45e9")),
        (PENDING, a_rehearsal(), production_at("2a8f45e9", revisions_at=LONG_AGO)),
        (PENDING, a_rehearsal(), production_at("2a8f45e9", revisions_at=None)),
    ],
)
def test_only_a_finished_fresh_rehearsal_of_these_files_from_where_production_is_passes(
    state, row, places
):
    facts = good_facts(places=places, rehearsals=(row,) if row else ())

    assert gates.GATES["rehearsed"](facts).state == state


def test_without_migrations_nothing_is_to_be_rehearsed():
    assert gates.GATES["rehearsed"](good_facts(release={"migrations": []}, rehearsals=())).passed


NOTHING_LISTED = {"items": ()}


def test_a_checklist_without_gates_still_asks_whether_staging_is_healthy_and_environments_agree():
    assert gates.readiness_of(good_facts(**NOTHING_LISTED)).ready
    uploaded = Finding(
        kind="uploaded", subject="importer", sentence="importer was uploaded.", attestable=False
    )
    sealed = Finding(
        kind="variable", subject="backend", sentence="A value is sealed.", attestable=True
    )
    facts = good_facts(**NOTHING_LISTED)
    behind = {**facts.live, "staging": (a_live("backend", commit=BASE),)}

    for changed in ({"findings": (uploaded,)}, {"findings": (sealed,)}, {"live": behind}):
        readiness = gates.readiness_of(replace(facts, **changed))
        assert not readiness.ready and readiness.missing[0].item is None

    assert (
        "create the release again"
        in gates.readiness_of(replace(facts, findings=(sealed,))).missing[0].result.sentence
    )


def test_a_hotfix_is_not_held_to_what_staging_serves():
    facts = good_facts(**NOTHING_LISTED, release={"kind": "hotfix"})

    assert "staging_healthy" not in [
        one.gate for one in gates.readiness_of(replace(facts, live={})).missing
    ]
