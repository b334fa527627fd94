"""What a run sends is told, compared by its shape, and refused in production where staging did
not send it.
"""

import pytest

from environments.schema.run.alembic_env.statements import READS, is_among, key_of, shape_of
from tests.environments.schema.history.histories import repository, source
from tests.environments.schema.run.test_runner import asked, go, tables, tree

ID = "aaaa00000001"
TABLE = 'op.create_table("one", sa.Column("id", sa.Integer))'


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            "update t set a = 'x''y' where id = 7",
            "UPDATE t set a = 'z' where id = 12".replace("UPDATE", "update"),
        ),
        (
            "INSERT INTO t (a, b) VALUES (%(a)s::VARCHAR, %(b)s)",
            "INSERT INTO t (a, b) VALUES ('x', 1), ('y', NULL)",
        ),
        ("create table  t\n (id int);", "create table t (id int)"),
    ],
)
def test_the_same_statement_with_other_values_is_the_same(one, other):
    assert shape_of(one) == shape_of(other) and key_of(one) == key_of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("create table t (id int default 1)", "create table t (id int default 2)"),
        ("update t set a = 1", "update t set b = 1"),
        ("update t set a = 1", "update t set a = 1; drop table t"),
        ("delete from t where id = 1", "delete from t"),
    ],
)
def test_what_does_something_else_is_another_statement(one, other):
    assert key_of(one) != key_of(other)


def test_a_run_tells_each_different_statement_also_those_past_sqlalchemy(tmp_path, database):
    raw = 'op.get_bind().connection.cursor().execute("insert into one values (3)")'
    rows = 'op.bulk_insert(sa.table("one", sa.column("id", sa.Integer)), [{"id": 1}, {"id": 2}])'
    mirror = repository(tmp_path / "git", tree(source(ID, body=f"{TABLE}; {rows}; {raw}")))

    outcome, _ = go(mirror, asked(mirror, database))

    assert outcome.status == "succeeded", outcome
    sent = [shape_of(sql) for _, sql in outcome.executed[ID]]
    assert sent == [
        "CREATE TABLE one ( id INTEGER )",
        "INSERT INTO one (id) VALUES (?)",
        "insert into one values (?)",
    ]


@pytest.mark.slow
def test_a_statement_that_staging_did_not_run_is_refused_before_it_runs(tmp_path, database):
    other = 'op.execute("create table other (id int)")'
    mirror = repository(tmp_path / "git", tree(source(ID, body=f"{TABLE}; {other}")))
    expected = {ID: [key_of("CREATE TABLE one (\n\tid INTEGER\n)")]}
    spaced = {ID: [*expected[ID], key_of("create table other  (id int)")]}

    refused, _ = go(mirror, asked(mirror, database, expected=expected))
    nothing_left = tables(database) <= {"alembic_version"}
    allowed, _ = go(mirror, asked(mirror, database, expected=spaced))

    assert refused.status == "failed" and "staging did not run this statement" in refused.sentence
    assert nothing_left and refused.failed_revision == ID
    assert allowed.status == "succeeded"


@pytest.mark.parametrize(
    ("sent", "allowed"),
    [
        ("create table one (id int)", True),
        ("create table one (id int); select 1; create table two (id int)", True),
        ("select count(*) from one", True),
        ("create table one (id int); drop table one", False),
        ("drop table one", False),
        ("with gone as (delete from one returning 1) select * from gone", False),
        ("select 1; drop table one", False),
        ("select 1 as id into evil", False),
        ("select 'into'", True),
    ],
)
def test_where_nothing_was_recorded_the_plan_and_reading_are_allowed(sent, allowed):
    keys = [READS, key_of("create table one (id int)"), key_of("create table two (id int)")]

    assert is_among(sent, keys) is allowed
    assert not is_among("select 1", keys[1:]), "only where that is said"
