"""Reading agrees with Alembic about the sample, and executes nothing; more of it in `make
faults`.
"""

from tests.faults.reading import executed, sample_disagreements


def test_every_branch_of_the_sample_is_read_as_alembic_reads_it(tmp_path):
    found = sample_disagreements(tmp_path)

    assert len(found) > 1 and set(found.values()) == {""}


def test_no_way_of_reading_executes_a_file(tmp_path):
    assert executed(tmp_path) == 0
