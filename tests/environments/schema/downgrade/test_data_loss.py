"""What a downgrade throws away is found in its SQL and counted in the database, which is only
read.
"""

import psycopg
import pytest

from environments.schema.downgrade.data_loss import Loss, count, dropped
from environments.schema.plan.render import Rendered, Statement


def of(*sql: str) -> list[tuple[str, str]]:
    return [(one.table, one.column) for one in dropped(Rendered(tuple(map(Statement, sql))))]


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("DROP TABLE events", [("events", "")]),
        ('drop table if exists a, public."B c"', [("a", ""), ('"B c"', "")]),
        ("ALTER TABLE a DROP COLUMN b, DROP COLUMN IF EXISTS c", [("a", "b"), ("a", "c")]),
        ("ALTER TABLE ONLY a DROP b", [("a", "b")]),
        ("ALTER TABLE a DROP CONSTRAINT b", []),
        ("ALTER TABLE a ALTER COLUMN b DROP NOT NULL", []),
        ("DROP INDEX i", []),
        ("select 1; DROP TABLE a; TRUNCATE b, c", [("a", ""), ("b", ""), ("c", "")]),
        ("WITH old AS (DELETE FROM a RETURNING *) INSERT INTO b SELECT * FROM old", [("a", "")]),
        ("DELETE FROM a WHERE b = 'DROP TABLE x'", [("a", "")]),
        ("-- DROP TABLE a\nselect 'DROP TABLE b'", []),
    ],
)
def test_what_goes_is_named(sql, found):
    assert of(sql) == found


@pytest.mark.parametrize(
    ("sql", "named"),
    [
        ("DROP TYPE mood CASCADE", "mood"),
        ("DO $$ begin delete from a; end $$", "DoStmt"),
        ("SELECT tidy_up()", "tidy_up"),
        ("DROP SOMETHING NEW", "a statement that cannot be read"),
    ],
)
def test_what_cannot_be_counted_is_named_and_not_left_out(sql, named, database):
    (loss,) = count(database, dropped(Rendered((Statement(sql),))))

    assert loss.table == named and loss.rows is None and loss.sentence and not loss.countable


def test_rows_and_values_are_counted_and_nothing_is_changed(database):
    with psycopg.connect(database) as connection:
        connection.execute(
            'create table events as select n id, nullif(n % 2, 0) "Odd" from generate_series(1,'
            " 10) n"
        )

    losses = count(
        database, [Loss("events"), Loss("events", '"Odd"'), Loss("events", "nowhere"), Loss("gone")]
    )

    assert [(loss.rows, loss.exact) for loss in losses] == [
        (10, True),
        (5, True),
        (0, True),
        (0, True),
    ]
    assert losses[3].sentence == "It is not there."
    assert count(database, [Loss("events; drop table events")])[0].rows == 0
    assert count(database, [Loss("events")])[0].rows == 10


def test_a_table_that_only_the_runs_search_path_finds_is_counted_and_not_called_absent(database):
    with psycopg.connect(database) as connection:
        connection.execute(
            "create schema app; create table app.events as select generate_series(1, 3) id;"
            " create schema other; create table app.twice (id int);"
            " create table other.twice (id int)"
        )

    once, twice, gone = count(database, [Loss("events"), Loss("twice"), Loss("gone")])

    assert (once.rows, twice.rows, gone.rows) == (3, None, 0)
    assert "app.twice, other.twice" in twice.sentence
