"""The SQL of revisions, rendered without a database: what comes out, what cannot, and what must
not.
"""

# ruff: noqa: E501

import json
import time
from dataclasses import replace

import pytest
from django.core.management import call_command

from environments.schema.history.reader import compare, read
from environments.schema.plan.render import (
    BrokenOff,
    Plan,
    Rendered,
    Statement,
    Step,
    make_plan,
    split,
    steps_as_json,
    steps_from_json,
)
from portal import isolation
from tests.environments.schema.history.histories import repository, source

FIRST = source(
    "a1", body='op.create_table("events", sa.Column("id", sa.Integer, primary_key=True))'
)


BASE = {
    "alembic.ini": "[alembic]\nscript_location = %(here)s/db\n",
    "db/env.py": "",
    "db/versions/a1.py": FIRST,
}


def planned(tmp_path, *later: str, time_limit_s: float = 30, patient: bool = False) -> Plan:
    """The plan of `later`, which come after a revision that makes the table “events”."""
    new = {f"db/versions/n{number}.py": text for number, text in enumerate(later)}
    mirror = repository(tmp_path / "git", BASE, new)
    history, change = read(mirror, "c1", "alembic.ini"), compare(mirror, "c0", "c1", "alembic.ini")
    limits = {"time_limit_s": time_limit_s, "patient": patient}
    return make_plan(mirror, mirror.commit("c1"), history, change.new, **limits)


CODE = {
    "column": {
        "body": (
            'op.add_column("events", sa.Column("kind", sa.Text, server_default="it\'s 100%",'
            " nullable=False))"
        ),
        "back": 'op.drop_column("events", "kind")',
    },
    "autocommit": {
        "body": (
            'with op.get_context().autocommit_block():\n        op.create_index("i", "events",'
            ' ["id"], postgresql_concurrently=True)\n    op.execute("select 1")'
        )
    },
    "script": {
        "body": "op.execute("
        + repr("""drop table if exists "x;y"; -- no; end
create function f() returns int language sql as $q$ select 1; $q$;
/* only; words */ ;""")
        + ")"
    },
    "batch": {
        "body": (
            'with op.batch_alter_table("events") as batch:\n       '
            ' batch.add_column(sa.Column("kind", sa.Text))\n        batch.drop_column("id")'
        )
    },
    "copy": {
        "body": (
            'with op.batch_alter_table("events", recreate="always") as batch:\n       '
            ' batch.drop_column("id")'
        )
    },
    "bind": {
        "body": 'op.get_bind().execute(sa.text("update events set kind = :kind"), {"kind": "x"})',
        "back": 'sa.Enum("a", "b", name="mood").create(op.get_bind(), checkfirst=True)',
    },
    "reads": {
        "body": (
            'op.execute("select 1")\n    for row in op.get_bind().execute(sa.text("select id from'
            ' events")):\n        op.execute("never")'
        )
    },
    "looks": {"body": 'sa.inspect(op.get_bind()).has_table("x")', "back": "op.get_bind().begin()"},
    "raises": {"body": "raise NotImplementedError('no way')", "back": "import acme.models"},
}


@pytest.fixture(scope="module")
def steps(tmp_path_factory) -> dict[str, Step]:
    """One revision for each piece of `CODE`, rendered together."""
    ids = ["a1", *CODE]
    files = [source(id, ids[number], **CODE[id]) for number, id in enumerate(ids[1:])]
    return {step.revision: step for step in planned(tmp_path_factory.mktemp("plan"), *files).steps}


def test_both_directions_are_what_alembic_would_send(steps):
    step = steps["column"]

    assert (
        step.upgrade.text
        == "ALTER TABLE events ADD COLUMN kind TEXT DEFAULT 'it''s 100%' NOT NULL;"
    )
    assert step.downgrade.text == "ALTER TABLE events DROP COLUMN kind;"
    assert (step.upgrade.kind, step.message) == ("", "Change column")


def test_only_the_new_revisions_are_executed_and_in_their_order(tmp_path):
    mark = tmp_path / "mark"
    files = BASE | {"db/versions/a1.py": FIRST + f"\nopen({str(mark)!r}, 'w').close()\n"}
    new = {"db/versions/x.py": source("c3", "b2"), "db/versions/y.py": source("b2", "a1")}
    mirror = repository(tmp_path / "git", files, new)
    change = compare(mirror, "c0", "c1", "alembic.ini")

    made = make_plan(mirror, mirror.commit("c1"), read(mirror, "c1", "alembic.ini"), change.new)

    assert [step.revision for step in made.steps] == ["b2", "c3"]
    assert not mark.exists()


def test_what_runs_outside_the_transaction_is_marked(steps):
    step = steps["autocommit"]

    assert [(statement.sql, statement.in_transaction) for statement in step.upgrade.statements] == [
        ("CREATE INDEX CONCURRENTLY i ON events (id)", False),
        ("select 1", True),
    ]


def test_raw_scripts_become_single_statements(steps):
    step = steps["script"]

    assert [statement.sql.split()[0] for statement in step.upgrade.statements] == ["drop", "--"]
    assert "$q$ select 1; $q$" in step.upgrade.statements[1].sql
    assert list(split("select E'it\\'s;', \"a;b\"; select 2")) == [
        "select E'it\\'s;', \"a;b\"",
        "select 2",
    ]


def test_batches_render_as_plain_alterations(steps):
    step = steps["batch"]

    assert [statement.sql for statement in step.upgrade.statements] == [
        "ALTER TABLE events ADD COLUMN kind TEXT",
        "ALTER TABLE events DROP COLUMN id",
    ]


def test_a_batch_that_copies_the_table_is_said_to_need_the_database(steps):
    step = steps["copy"]

    assert step.upgrade.kind == "connection" and "reflect" in step.upgrade.problem


def test_what_the_connection_is_sent_is_shown_with_its_values(steps):
    step = steps["bind"]

    assert (step.upgrade.kind, step.upgrade.text) == ("", "update events set kind = 'x';")
    assert (step.downgrade.kind, step.downgrade.text) == (
        "",
        "CREATE TYPE mood AS ENUM ('a', 'b');",
    )


def test_reading_an_answer_names_the_line_and_the_statement(steps):
    step = steps["reads"]

    assert step.upgrade.kind == "connection"
    assert [statement.sql for statement in step.upgrade.statements] == [
        "select 1",
        "select id from events",
    ]
    assert step.upgrade.problem.startswith("Line 23 (`for row in op.get_bind()")
    assert "it reads the answer of “select id from events”." in step.upgrade.problem


def test_looking_around_in_the_database_is_named(steps):
    step = steps["looks"]

    assert "it inspects the database" in step.upgrade.problem
    assert "it uses `begin` of its connection" in step.downgrade.problem


def test_what_raises_and_what_is_not_there_is_told_apart(steps):
    step = steps["raises"]

    assert (step.upgrade.kind, "NotImplementedError: no way" in step.upgrade.problem) == (
        "raised",
        True,
    )
    assert (step.downgrade.kind, "it imports “acme”" in step.downgrade.problem) == ("module", True)


def test_a_revision_that_ends_its_process_ends_nobody_elses(tmp_path):
    steps = planned(
        tmp_path, source("b2", "a1", back="import os; os._exit(0)"), source("c3", "b2")
    ).steps

    assert (steps[0].downgrade.kind, steps[1].upgrade.kind) == ("time", "")
    assert "ended the process" in steps[0].downgrade.problem


@pytest.mark.slow
def test_a_child_that_was_killed_says_nothing_of_the_files_at_first(tmp_path):
    kill = source("b2", "a1", body="import os, signal\n    os.kill(os.getpid(), signal.SIGKILL)")

    with pytest.raises(BrokenOff):
        planned(tmp_path / "patient", kill, patient=True)
    steps = planned(tmp_path / "settled", kill).steps

    assert "ended the process" in steps[-1].upgrade.problem


@pytest.mark.slow
def test_a_revision_that_never_ends_is_given_up_and_what_came_before_is_kept(tmp_path):
    first = source("b2", "a1", body='op.execute("select 1")')
    began = time.monotonic()

    steps = planned(
        tmp_path, first, source("c3", "b2", body="while True: pass"), time_limit_s=3
    ).steps

    assert time.monotonic() - began < 20
    assert steps[0].upgrade.text == "select 1;"
    assert (steps[1].upgrade.kind, steps[1].upgrade.problem) == (
        "time",
        "It was not rendered within 3 s.",
    )


def test_neither_the_portals_variables_nor_passwords_in_the_script_are_rendered(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("RAILWAY_API_TOKEN", "canary-in-the-environment")
    body = (
        "import os\n    op.execute(\"select '%s'\" % dict(os.environ))\n"
        "    op.execute(\"create role r password 'canary-in-a-role'\")\n"
        "    op.execute(\"select dblink('postgresql://u:canary-in-a-url@host/db')\")\n"
        "    raise ValueError('postgresql://u:canary-in-an-error@host/db')"
    )
    made = planned(tmp_path, source("b2", "a1", body=body))

    stored = json.dumps(steps_as_json(made.steps), ensure_ascii=False)

    assert "canary" not in stored
    assert "create role r password '•••'" in stored and "postgresql://u:•••@host/db" in stored


def test_a_plan_is_stored_and_read_back_and_its_digest_moves_with_the_sql(steps):
    one = Plan(tuple(steps.values()))
    other = replace(steps["bind"], upgrade=Rendered((Statement("update events set kind = 'y'"),)))
    two = Plan(tuple((steps | {"bind": other}).values()))

    assert Plan(steps_from_json(json.loads(json.dumps(steps_as_json(one.steps))))) == one
    assert one.digest == Plan(one.steps).digest != two.digest


@pytest.mark.slow
def test_the_command_shows_sql_and_risks(tmp_path, capsys):
    planned(
        tmp_path,
        source("b2", "a1", body='op.drop_column("events", "id")', back="raise NotImplementedError"),
    )
    told = [
        "plan",
        "c1",
        "--since",
        "c0",
        "--repository",
        str(tmp_path / "git"),
        "--alembic",
        "alembic.ini",
    ]

    call_command(*told)
    shown = capsys.readouterr().out
    call_command(*told, "--json")
    found = json.loads(capsys.readouterr().out)

    assert (
        "ALTER TABLE events DROP COLUMN id;" in shown
        and "caution: Drops a column of events" in shown
    )
    assert [step["revision"] for step in found["steps"]] == ["b2"]
    assert {risk["code"] for risk in found["risks"]} >= {"drop-column", "no-way-back"}
    assert found["rollback"]["verdict"] == "roll forward only"


LITERAL = """op.create_table("t", sa.Column("id", sa.Integer(), nullable=False), sa.Column("at", sa.DateTime(timezone=True)), sa.PrimaryKeyConstraint("id", name=op.f("pk_t")))
    op.create_index(op.f("ix_t"), "t", ["at"], unique=False)
    op.execute("update t set id = -1")
    op.alter_column("t", "id", existing_type=sa.String(length=9), type_=postgresql.JSONB())"""
COMPUTED = "op.execute('select 1')\n    open('mark', 'w').close()\n    op.execute('never')"


def test_where_nothing_can_be_isolated_an_unreviewed_file_is_read_and_not_executed(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("PORTAL_ISOLATION", "off")
    isolation.why_not.cache_clear()
    try:
        new = {
            "db/versions/b2.py": (
                source("b2", "a1", body=LITERAL, back=COMPUTED)
                + f"open({str(tmp_path / 'mark')!r}, 'w')\n"
            )
        }
        mirror = repository(tmp_path / "git", BASE, new)
        change = compare(mirror, "c0", "c1", "alembic.ini")
        step = make_plan(
            mirror,
            mirror.commit("c1"),
            read(mirror, "c1", "alembic.ini"),
            change.new,
            reviewed=False,
        ).steps[0]
        executed = make_plan(
            mirror, mirror.commit("c1"), read(mirror, "c1", "alembic.ini"), change.new
        ).steps[0]
    finally:
        monkeypatch.undo()
        isolation.why_not.cache_clear()

    assert (step.upgrade.kind, executed.upgrade.text) == ("", executed.upgrade.text)
    assert [
        statement.sql.split("(")[0].split(" TYPE")[0] for statement in step.upgrade.statements
    ] == [
        "CREATE TABLE t ",
        "CREATE INDEX ix_t ON t ",
        "update t set id = -1",
        "ALTER TABLE t ALTER COLUMN id",
    ]
    assert step.downgrade.kind == "unread" and [
        statement.sql for statement in step.downgrade.statements
    ] == ["select 1"]
    assert (
        "open('mark', 'w').close()" in step.downgrade.problem
        and "not executed" in step.downgrade.problem
    )
    assert (tmp_path / "mark").exists(), "and what is reviewed is executed, also there"
