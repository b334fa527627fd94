"""Bad answers never turn a gate green."""

import random

import pytest
import stamina

from portal.sandbox.server import Response
from tests.faults.bad_answers import AFTER, BEFORE, Tally, spoil, stages
from tests.faults.scene import world_of_its_own
from tests.faults.spoiling import spoiled


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_no_gate_turns_green_on_a_bad_answer(settings):
    tally = Tally()

    shape = ("watch-paths", "sleeping-and-scheduled", "databases")
    with (
        stamina.set_testing(True, attempts=3, cap=True),
        world_of_its_own(settings, shape) as world,
    ):
        for stage in stages(world, seed=5):
            spoil(stage, 3, tally)

    assert (tally.false, tally.errors) == ([], {})
    assert set(tally.answers) == {*BEFORE, *AFTER}


def test_a_spoiled_answer_differs_from_the_honest_one():
    honest = Response(
        200, {"data": {"head": "a" * 40, "state": "SUCCESS", "open": {"nodes": [{"number": 1}]}}}
    )

    answers = [spoiled(honest, random.Random(seed), "b" * 40)[1] for seed in range(200)]

    same = [
        answer
        for answer in answers
        if answer and (answer.status, answer.encoded()) == (200, honest.encoded())
    ]
    assert not same
