"""What is to be typed after a failure, and what is heard of a run that prints."""

import pytest

from environments.schema.run.failure import inverse, next_commands
from environments.schema.run.output import Output


@pytest.mark.parametrize(
    ("statement", "back"),
    [
        (
            "CREATE UNIQUE INDEX CONCURRENTLY ix_a ON t (a)",
            "DROP INDEX CONCURRENTLY IF EXISTS ix_a;",
        ),
        ('create index if not exists "Ix a" on t (a)', 'DROP INDEX CONCURRENTLY IF EXISTS "Ix a";'),
        ("CREATE TABLE audit.log (\n\tid INTEGER\n)", "DROP TABLE audit.log;"),
        ('ALTER TABLE t ADD COLUMN "A b" TEXT', 'ALTER TABLE t DROP COLUMN "A b";'),
        (
            "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID",
            "ALTER TABLE t DROP CONSTRAINT c;",
        ),
        ("ALTER TYPE mood ADD VALUE 'new'", None),
        ("UPDATE t SET a = 1", None),
    ],
)
def test_what_a_statement_made_is_taken_back_by_its_inverse_where_there_is_one(statement, back):
    assert inverse(statement) == back


def test_each_invalid_index_gets_its_command_and_what_rests_on_another_goes_first():
    kept = ["CREATE TABLE t (a INT)", "CREATE INDEX CONCURRENTLY ix ON t (a)", "UPDATE t SET a = 1"]

    found = next_commands(
        invalid=["public.ix", "b"], kept=kept, table="alembic_version", known=False
    )

    assert [one.command for one in found] == [
        "SELECT version_num FROM alembic_version;",
        "DROP INDEX CONCURRENTLY IF EXISTS public.ix;",
        "DROP INDEX CONCURRENTLY IF EXISTS b;",
        "",
        "DROP INDEX CONCURRENTLY IF EXISTS ix;",
        "DROP TABLE t;",
    ]
    assert "UPDATE t SET a = 1" in found[3].why


def test_the_last_revision_error_and_statement_are_read_from_what_is_printed():
    output = Output()

    output.read(
        [
            "INFO  [alembic.runtime.migration] Running upgrade a1 -> b2, add a table",
            "INFO  [alembic.runtime.migration] Running upgrade b2, c3 -> d4, merge",
            'psycopg.errors.UndefinedTable: relation "nowhere" does not exist',
            '  File "/tmp/x/files/db/versions/d4.py", line 9, in upgrade',
            (
                "sqlalchemy.exc.ProgrammingError: (psycopg.errors.UndefinedTable) relation"
                ' "nowhere" does not exist'
            ),
            "LINE 1: alter table nowhere",
            "[SQL: alter table nowhere",
            " add x int]",
            "(Background on this error at: https://sqlalche.me/e/20/f405)",
        ]
    )

    assert (output.revision, output.file) == ("d4", "/tmp/x/files/db/versions/d4.py")  # noqa: S108
    assert output.error == 'relation "nowhere" does not exist'
    assert output.statement == "alter table nowhere\n add x int"
