"""What the gates say of a release with two databases: the worst answer counts, and names its
database.
"""

from dataclasses import replace
from datetime import timedelta

import pytest

from releases import gates
from releases.gates import ATTEST, FAIL, PASS, PENDING
from releases.gates.sql_diff import Staged
from tests.releases.gates.facts import (
    MERGE,
    NOW,
    REVISION,
    a_database,
    a_place,
    a_plan,
    a_rehearsal,
    a_run,
    good_facts,
)

OTHER = REVISION | {"id": "b2", "database": 2}
THERE = {kind: a_place(kind, "b2") for kind in ("staging", "production")}
STAGED = {("b2", OTHER["sha256"]): Staged(NOW - timedelta(hours=1))}
BEHIND = THERE | {"production": a_place("production", "b1")}
KNOWN = {"files": [OTHER], "start": ["b1"]}


def two(release=None, **second):
    """Facts of two databases, the first of which is as it should be; `second` changes the other."""
    step = replace(a_plan().steps[0], revision="b2")
    known = {
        "migrations": (OTHER,),
        "heads": ("b2",),
        "places": THERE,
        "staged_sql": STAGED,
        "called": "billing",
        "planned": a_plan(steps=(step,), starts={"production": {"start": ["b2"]}}),
    }
    values = {"migrations": [REVISION | {"database": 1}, OTHER], "merge_commit": MERGE} | (
        release or {}
    )
    facts = good_facts(release=values)
    billing = a_database(2, facts.project, **(known | second))
    billing.database.name = "billing"
    first = a_database(1, facts.project, called="signals")
    return replace(facts, databases=(first, billing))


@pytest.mark.parametrize(
    ("gate", "second", "state", "message"),
    [
        (
            "migrations_ready",
            {},
            PASS,
            "signals: 1 migration applied in staging, same files, soaked. billing: 1 ",
        ),
        (
            "migrations_ready",
            {"migrations": ()},
            PASS,
            "billing: This release brings no migrations.",
        ),
        (
            "migrations_ready",
            {"staged_sql": {}},
            PENDING,
            "billing: Staging's database is at the release's head, but",
        ),
        (
            "migrations_ready",
            {"staged_sql": {("b2", "e" * 64): Staged(NOW)}},
            FAIL,
            "billing: Edited after staging",
        ),
        (
            "migrations_ready",
            {"runs": (a_run(status="running"),)},
            PENDING,
            "billing: Staging is being migrated",
        ),
        ("migrations_ready", {"heads": None}, PENDING, "The release is loading again"),
        ("rehearsed", {}, PASS, "billing: Production's database is at the release's head"),
        ("rehearsed", {"places": BEHIND, "rehearsals": ()}, PENDING, "billing: Rehearsing"),
        (
            "rehearsed",
            {"places": BEHIND, "rehearsals": (a_rehearsal(**KNOWN),)},
            PASS,
            "billing: Rehearsed.",
        ),
        (
            "rehearsed",
            {"places": BEHIND, "rehearsals": (a_rehearsal(**KNOWN, status="needs_person"),)},
            ATTEST,
            "bill",
        ),
        (
            "production_at_head",
            {},
            PASS,
            "signals: Production's database is at 4d1a2b3c. billing: ",
        ),
        (
            "production_at_head",
            {"places": BEHIND},
            FAIL,
            "billing: Production's database is at b1, not at b2.",
        ),
        ("production_at_head", {"places": {}}, PENDING, "billing: Reading production's database"),
    ],
)
def test_the_worst_answer_counts_and_names_its_database(gate, second, state, message):
    result = gates.GATES[gate](two(**second))

    assert (result.state, message in result.sentence) == (state, True), result.sentence
    assert state == PASS or "signals" not in result.sentence


def test_a_plan_is_wanted_of_each_database_that_migrates():
    assert gates.GATES["migration_risks"](two()).passed
    assert gates.GATES["migration_risks"](two(planned=None)).state == PENDING
    assert gates.GATES["migration_risks"](two(planned=None, migrations=())).passed


def test_what_another_database_ran_in_staging_proves_nothing():
    facts = two(staged_sql={})
    first = replace(facts.databases[0], staged_sql=facts.databases[0].staged_sql | STAGED)

    assert (
        gates.GATES["migrations_ready"](replace(facts, databases=(first, facts.databases[1]))).state
        == PENDING
    )


def test_revisions_of_a_database_that_the_project_no_longer_has_are_not_passed_over():
    facts = two()

    result = gates.GATES["migrations_ready"](replace(facts, databases=facts.databases[:1]))

    assert result.state == PENDING and "The release is loading again" in result.sentence


@pytest.mark.parametrize("gate", ["migrations_ready", "rehearsed", "production_at_head"])
def test_without_a_database_nothing_is_asked(gate):
    facts = good_facts(release={"migrations": [], "heads": []}, databases=())

    assert gates.GATES[gate](facts).passed
