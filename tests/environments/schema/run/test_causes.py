"""PostgreSQL's errors in plain words: real ones, from a real server."""

import psycopg
import pytest

from environments.schema.run.causes import cause
from environments.schema.run.output import Output
from tests.environments.schema.history.histories import repository, source
from tests.environments.schema.run.test_runner import FIRST, asked, go, tree

TABLES = """
create table teams (id int primary key);
create table workspaces (id int primary key, name text, team int references teams);
insert into teams values (1);
insert into workspaces values (1, 'secret-name', 1), (2, 'secret-name', null);
"""
ERRORS = {
    "create unique index uq_name on workspaces (name)": (
        "duplicate key in workspaces.name: at least 2 rows hold the same value (constraint uq_name)"
    ),
    "insert into workspaces values (1)": (
        "duplicate key in workspaces.id: a row with this value exists (constraint workspaces_pkey)"
    ),
    "insert into workspaces values (3, 'x', 9)": (
        "workspaces.team refers to a row that teams lacks (constraint workspaces_team_fkey)"
    ),
    "delete from teams": (
        "rows of workspaces still refer to teams.id (constraint workspaces_team_fkey)"
    ),
    "alter table workspaces alter column team set not null": (
        "workspaces.team holds null, and must not"
    ),
    "alter table workspaces add constraint small check (id < 2)": (
        "a row of workspaces breaks a check (constraint small)"
    ),
    "set statement_timeout = 20; select pg_sleep(2)": (
        "statement timeout: the statement took longer than allowed and was canceled"
    ),
    "create extension postgis": (
        'extension "postgis" is not available on this server; use a database whose server has'
        " postgis, such as an image that is made with it"
    ),
    "select nonsense from workspaces": "",
}


def told(error: psycopg.Error) -> dict[str, str | None]:
    seen = error.diag
    return {
        "message": seen.message_primary,
        "sqlstate": error.sqlstate,
        "detail": seen.message_detail,
        "table": seen.table_name,
        "column": seen.column_name,
        "constraint": seen.constraint_name,
    }


@pytest.mark.parametrize("statement", ERRORS)
def test_an_error_names_table_and_column_and_no_persons_data(database, statement):
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(TABLES)
        with pytest.raises(psycopg.Error) as raised:
            connection.execute(statement)

    sentence = cause(told(raised.value))

    assert sentence == ERRORS[statement]
    assert "secret" not in sentence


def test_what_a_command_printed_is_read_without_a_code():
    output = Output()
    output.read(
        [
            "sqlalchemy.exc.IntegrityError: (psycopg.errors.UniqueViolation) could not create"
            ' unique index "uq_name"',
            "DETAIL:  Key (name)=(acme) is duplicated.",
        ]
    )

    assert cause({"message": output.error, "detail": output.detail}) == (
        "duplicate key in name: at least 2 rows hold the same value (constraint uq_name)"
    )


def test_a_run_says_so_in_its_sentence(tmp_path, database):
    bad = source(
        "aaaa00000002",
        "aaaa00000001",
        body='op.execute("insert into one values (1), (1)");'
        ' op.execute("create unique index uq_one on one (id)")',
    )
    mirror = repository(tmp_path / "git", tree(FIRST, bad))

    outcome, _lines = go(mirror, asked(mirror, database))

    assert "failed: duplicate key in one.id: at least 2 rows hold the same value" in (
        outcome.sentence
    )
