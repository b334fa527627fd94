"""Every case of `tests.cases.running`: what plan, rehearsal and run say is what is right."""

import pytest

from tests.cases.builder import Case
from tests.cases.looking import Stage, scratch
from tests.cases.running import CASES


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_ends_as_it_should(case: Case, tmp_path):
    with scratch() as url:
        stage = Stage(case, tmp_path, url)
        for aspect, expected in case.expected.items():
            assert expected in getattr(stage, aspect)(), aspect
