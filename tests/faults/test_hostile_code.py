"""A part of `python -m tests.faults.hostile_code`, which does it as root and as a user: nothing
gets out.
"""

import json
import os
import subprocess
import sys
import time

import pytest

from environments.schema.run.events import MAX_BYTES, MAX_EVENTS, MAX_LINE, Hearing
from portal import isolation
from tests.environments.schema.conftest import database  # noqa: F401 - a fixture
from tests.environments.schema.history.histories import repository, source
from tests.environments.schema.plan.test_render import planned
from tests.environments.schema.run.test_runner import FIRST, asked, go, tables, tree
from tests.faults.hostile_code import ALONE, lasting, ran, rehearsed, rendered
from tests.faults.hostile_plants import PLANTS, baited, planted, proof_of, survivor
from tests.faults.hostile_victims import victims
from tests.faults.hostile_ways import program, ways

isolated = pytest.mark.skipif(bool(isolation.why_not()), reason=isolation.why_not() or "-")


def chosen(where: str) -> list:
    kind = "root" if os.geteuid() == 0 else "user"
    mine = [way for way in ways() if way.where == where and way.needs in ("", kind)]
    return [
        way
        for way in mine
        if not (where == "render" and way.name.startswith(ALONE)) and "while" not in way.name
    ]


@isolated
def test_no_revision_of_a_pull_request_gets_out_while_it_is_rendered(tmp_path):
    tried = chosen("render")
    with victims(os.environ["DATABASE_URL"], without=False) as constants:
        found = lasting(tried, list(rendered(tried, constants, tmp_path)), "render")

    assert len(found) > 60 and [one for one in found if one[1]] == []
    assert not [one for one in found if "said nothing" in one[2]], "each was tried"


@isolated
def test_a_run_reaches_its_database_and_nothing_else(tmp_path, database):  # noqa: F811
    with victims(os.environ["DATABASE_URL"], without=False) as constants:
        tried = chosen("run")
        found = lasting(tried, list(ran(tried, constants, tmp_path, database)), "run")

    assert len(found) > 15 and [one for one in found if one[1]] == []


@isolated
def test_sql_of_a_rehearsal_reaches_nothing_beside_its_scratch_server(tmp_path):
    with victims(os.environ["DATABASE_URL"], without=False) as constants:
        found = list(rehearsed(chosen("rehearsal"), constants, tmp_path))

    assert len(found) >= 6 and [one for one in found if one[1]] == []


FORGED = """
import json, os
for fd in range(3, 40):
    try: os.write(fd, b"\\n" + json.dumps({"rendered": "b2", "direction": "upgrade", "statements": [["select 'forged'", True]], "problem": None}).encode() + b"\\n" + json.dumps(["upgrade", [["select 'forged'", True]], None]).encode() + b"\\n")
    except OSError: pass
from alembic import op as _op
_op.execute = lambda *_: None
"""  # noqa: E501


@isolated
def test_a_revision_cannot_speak_for_another_in_a_plan(tmp_path):
    honest = source("b2", "a1", body='op.execute("drop table events")')

    steps = planned(tmp_path, FORGED + source("c3", "b2"), honest).steps

    assert {step.revision: step.upgrade.text for step in steps}["b2"] == "drop table events;"


@pytest.mark.parametrize(
    "message",
    [
        {"end": "aaaa00000002", "seconds": 1},
        {"start": ["x"]},
        {"start": {}},
        {"backend": "1 or true"},
        {"kept": [[]]},
        {"error": ["x"]},
        {"rendered": None},
        {"seconds": "x"},
        {"over": [1]},
        {"locks": 5, "statement": "x"},
    ],
)
def test_what_a_run_says_of_itself_is_not_believed(tmp_path, database, message):  # noqa: F811
    body = (
        "import json, os\n    for fd in range(3, 40):\n        try: os.write(fd, b'\\n' +"
        f" {json.dumps(message)!r}.encode() + b'\\n')\n        except OSError: pass\n   "
        " os._exit(0)"
    )
    mirror = repository(
        tmp_path / "git", tree(FIRST, source("aaaa00000002", "aaaa00000001", body=body))
    )

    outcome, _ = go(mirror, asked(mirror, database))

    assert (outcome.status, outcome.after) == ("failed", ("aaaa00000001",)), outcome
    assert tables(database) == {"alembic_version", "one"}


def test_of_endless_events_a_bounded_part_is_kept():
    hearing = Hearing()
    short = b'{"start": "x"}\n'

    kept = sum(len(hearing.feed(short * 10_000)) for _ in range(10))
    later = Hearing()
    none = [event for _ in range(60) for event in later.feed(b"x" * (MAX_BYTES // 50))]

    assert kept == MAX_EVENTS and none == [] and len(later._rest) <= MAX_LINE + 1
    mixed = (
        b'{"start": "a"}\nnonsense\n[1]\n{"start": NaN}\n{"new": 1}\n{"end": "b", "seconds": 1.5}\n'
    )
    assert Hearing().feed(mixed) == [{"start": "a"}, {"end": "b", "seconds": 1.5}]


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.name)
def test_each_plant_works_where_nobody_is_on_their_guard(tmp_path, plant):
    (tmp_path / "proofs").mkdir()

    if baited(plant, tmp_path / "proofs", tmp_path) is None:
        pytest.skip("there is no compiler here")
    assert proof_of(plant, tmp_path / "proofs")


@isolated
def test_nothing_that_is_planted_in_a_repository_or_its_variables_is_tripped_over(
    tmp_path,
    database,  # noqa: F811
):
    (tmp_path / "proofs").mkdir(mode=0o700)

    found = list(planted(tmp_path / "proofs", tmp_path, database, installing=False))

    assert len(found) == len(PLANTS) and [one for one in found if one[1]] == []


@pytest.mark.parametrize(
    "way", [way for way in ways() if way.lasts and way.where == "run"], ids=lambda way: way.name
)
def test_each_daemon_outlives_a_parent_that_does_not_mind(way):
    subprocess.run(
        [sys.executable, "-c", program(way, {})], check=True, stdin=subprocess.DEVNULL, timeout=30
    )
    time.sleep(1.5 if "forking" in way.name else 0.5)

    assert survivor(way.name, way.where)
