"""Every case of `tests.cases.running`: what plan, rehearsal and run say is what is right."""

import pytest

from tests.cases.builder import Case
from tests.cases.looking import Stage, scratch
from tests.cases.running import CASES

SLOW = ("rehearsal", "same")


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(
            case, id=case.name, marks=[pytest.mark.slow] if set(SLOW) & set(case.expected) else []
        )
        for case in CASES
    ],
)
def test_it_ends_as_it_should(case: Case, tmp_path):
    with scratch() as url:
        stage = Stage(case, tmp_path, url)
        for aspect, expected in case.expected.items():
            assert expected in getattr(stage, aspect)(), aspect
