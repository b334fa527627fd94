"""A killed rehearsal leaves nothing: a few of the kills that `make faults` does many of."""

from tests.faults.rehearsals import main


def test_nothing_is_left_of_killed_rehearsals(capsys):
    assert main(2) == 0, capsys.readouterr().out
