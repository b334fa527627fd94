"""Every case of `tests.cases.running` and `changes`: what is said is what is right.

Those that install packages are looked at by `make cases`.
"""

import pytest

from tests.cases import changes
from tests.cases.builder import Case
from tests.cases.looking import Stage, scratch
from tests.cases.running import CASES

SLOW = {"rehearsal", "same", "proof", "edits"}


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(
            case, id=case.name, marks=[pytest.mark.slow] if SLOW & set(case.expected) else []
        )
        for case in (*CASES, *changes.CASES)
    ],
)
def test_it_ends_as_it_should(case: Case, tmp_path):
    with scratch() as url:
        stage = Stage(case, tmp_path, url)
        for aspect, expected in case.expected.items():
            assert expected in getattr(stage, aspect)(), aspect
