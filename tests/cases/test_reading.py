"""Every configuration of `tests.cases.reading` is read, or refused by one right sentence."""

import pytest

from tests.cases.builder import Case
from tests.cases.looking import look_read
from tests.cases.reading import CASES
from tests.environments.schema.history.histories import agrees


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_is_read_or_named(case: Case, tmp_path):
    assert case.expected["read"] in look_read(case, case.build(tmp_path / "git"))


AS_ALEMBIC = (
    "url-with-placeholders",
    "locations-by-colon",
    "locations-by-os",
    "constants",
    "sum-of-texts",
    "first-release",
)


@pytest.mark.parametrize("name", AS_ALEMBIC)
def test_it_is_read_as_alembic_reads_it(name, tmp_path):
    case = next(case for case in CASES if case.name == name)
    for path, text in {**case.main, **case.staging}.items():
        (tmp_path / "tree" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / path).write_text(text or "")

    assert agrees(case.build(tmp_path / "git"), "main", case.alembic, tmp_path / "tree") == ""
