"""The measurement of rehearsals measures a rehearsal that passed."""

from tests.bench.rehearsal import main


def test_both_ways_come_to_an_end_and_are_printed(capsys):
    code = main(3, 2, 1)

    message = capsys.readouterr().out
    assert code in (0, 1) and "by hand: dump, load, upgrade" in message and "again" in message
