"""What the runners take in their stride, and what they refuse in one sentence before anything is
changed.
"""

import secrets
from urllib.parse import urlsplit

import pytest

from environments.schema.run.command import Command, told
from environments.schema.run.database import current
from environments.schema.run.process import Log, Redactor
from tests.environments.schema.conftest import on_server
from tests.environments.schema.history.histories import repository, source
from tests.environments.schema.run.test_runner import FIRST, asked, go, query, tables, tree

pytestmark = pytest.mark.slow


def test_every_way_to_write_the_address_leads_to_the_same_database(tmp_path, database):
    mirror = repository(tmp_path / "git", tree(FIRST))
    rest = database.removeprefix("postgresql://")

    ran, _ = go(
        mirror,
        asked(mirror, f"postgresql+asyncpg://{rest}?ssl=prefer&prepared_statement_cache_size=0"),
    )
    found = [
        go(mirror, asked(mirror, f"{scheme}://{rest}"))[0]
        for scheme in (
            "postgres",
            "postgresql+psycopg2",
            "postgresql+psycopg",
            "postgresql+pg8000",
            "POSTGRESQL+aiopg",
        )
    ]

    assert (ran.status, ran.after) == ("succeeded", ("aaaa00000001",)), ran
    assert {(one.status, one.before) for one in found} == {("succeeded", ("aaaa00000001",))}


def test_several_version_locations_and_schemas_with_the_version_table_in_one_of_them(
    tmp_path, database
):
    for schema in ("meta", "one_side", "other_side"):
        query_do(database, f"create schema {schema}")
    table = "op.create_table('t', sa.Column('id', sa.Integer, primary_key=True), schema='{0}')"
    files = {
        "alembic.ini": (
            "[alembic]\nscript_location = %(here)s/db\npath_separator = space\nversion_locations ="
            " %(here)s/db/versions %(here)s/more\n"
        ),
        "db/env.py": "raise SystemExit(7)",
        "db/versions/a.py": source("a1", body=table.format("one_side")),
        "more/b.py": source("b1", "a1", body=table.format("other_side")),
    }
    mirror = repository(tmp_path / "git", files)

    outcome, lines = go(mirror, asked(mirror, database, version_table="meta.versions"))

    assert outcome.status == "succeeded" and len(outcome.applied) == 2, lines
    assert current(database, table="meta.versions") == ("b1",)
    where = query(
        database, "select schemaname from pg_tables where tablename in ('t', 'versions') order by 1"
    )
    assert where == [("meta",), ("one_side",), ("other_side",)]


def test_what_a_failed_revision_leaves_outside_its_transaction_is_told(tmp_path, database):
    body = (
        'op.execute("create table two (id int)")\n'
        "    with op.get_context().autocommit_block():\n"
        '        op.execute("create index concurrently ix_two on two (id)")\n'
        '    op.execute("create table three (id int)")\n'
        '    op.execute("alter table nowhere add x int")'
    )
    mirror = repository(
        tmp_path / "git", tree(FIRST, source("aaaa00000002", "aaaa00000001", body=body))
    )

    outcome, _ = go(mirror, asked(mirror, database))

    assert outcome.status == "failed" and outcome.after == ("aaaa00000001",)
    assert outcome.kept == (
        "create table two (id int)",
        "create index concurrently ix_two on two (id)",
    )
    assert tables(database) == {"alembic_version", "one", "two"}, "and that is what is there"


def test_a_revision_that_was_rolled_back_as_a_whole_leaves_nothing_to_tell(tmp_path, database):
    body = (
        'op.execute("create table two (id int)")\n    op.execute("alter table nowhere add x int")'
    )
    mirror = repository(
        tmp_path / "git", tree(FIRST, source("aaaa00000002", "aaaa00000001", body=body))
    )

    outcome, _ = go(mirror, asked(mirror, database))

    assert (outcome.status, outcome.kept) == ("failed", ()) and tables(database) == {
        "alembic_version",
        "one",
    }


COMMAND = pytest.mark.parametrize(
    "command", [None, Command("touch /tmp/never; exit 1")], ids=["portal", "command"]
)


@COMMAND
@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "No database address is set"),
        ("mysql://root:hush@db/app", "one of mysql; only PostgreSQL"),
        ("sqlite:///app.db", "one of sqlite; only PostgreSQL"),
        ("postgresql://u:p#w@h/d", "percent-encode its password"),
        ("postgresql://nobody:hush@127.0.0.1:9/none", "cannot be reached"),
    ],
)
def test_an_address_that_leads_nowhere_is_said_and_nothing_runs(tmp_path, url, words, command):
    mirror = repository(tmp_path / "git", tree(FIRST))

    outcome, lines = go(mirror, asked(mirror, url, command=command))

    assert (outcome.status, outcome.before, outcome.after, lines) == ("failed", None, None, [])
    assert words in outcome.sentence and "hush" not in outcome.sentence


@COMMAND
def test_a_role_that_may_not_write_is_refused_before_anything_runs(tmp_path, database, command):
    role, password = f"reader_{secrets.token_hex(4)}", secrets.token_hex(8)
    on_server(f"create role {role} login password '{password}'")
    parts = urlsplit(database)
    url = parts._replace(netloc=f"{role}:{password}@{parts.hostname}:{parts.port}").geturl()
    mirror = repository(tmp_path / "git", tree(FIRST))

    try:
        outcome, lines = go(mirror, asked(mirror, url, command=command))
    finally:
        on_server(f"drop role {role}")

    assert (outcome.status, lines) == (
        "failed",
        [],
    ) and f"role “{role}” may not make tables" in outcome.sentence


@COMMAND
def test_an_ini_file_without_script_location_is_said(tmp_path, database, command):
    mirror = repository(tmp_path / "git", tree(FIRST) | {"alembic.ini": "[alembic]\n# nothing\n"})

    outcome, lines = go(mirror, asked(mirror, database, command=command))

    assert (outcome.status, lines, tables(database)) == ("failed", [], set())
    assert "script_location" in outcome.sentence, outcome.sentence


def test_a_command_that_names_no_target_is_never_turned_back(tmp_path, database):
    mirror = repository(tmp_path / "git", tree(FIRST))
    command = Command("exit 1")

    outcome, lines = go(
        mirror, asked(mirror, database, command=command, direction="downgrade", target=("base",))
    )

    assert (outcome.status, lines) == (
        "failed",
        [],
    ) and "cannot be read from it" in outcome.sentence


def test_of_output_without_end_the_last_whole_lines_are_kept_without_secrets():
    kept: list[str] = []
    log = Log(kept.extend, Redactor(["canary-secret"]))

    log.feed(b"x" * 999 + b"\n" + b"y\n" * 600_000)
    for _ in range(20_000):
        log.feed(b"canary-secret\n")
    log.feed(b"the error\n")
    log.finish()

    assert kept[-1] == "the error" and sum(map(len, kept)) < 1_100_000
    assert not any("canary-" in line or "secret" in line for line in kept)


def test_the_limits_are_put_behind_what_the_project_says_itself(tmp_path):
    limits = {"lock_timeout_ms": 5000, "statement_timeout_ms": 9000, "version": 130000}
    ours = "-c lock_timeout=5000 -c statement_timeout=9000"

    plain = told(Command("x"), "postgresql+asyncpg://u:p%40@h/d", tmp_path, **limits)["environ"]
    own = told(
        Command("x", variables={"PGOPTIONS": "-c a=b", "PGHOST": "production.example.test"}),
        "postgresql://h/d?options=-c%20a%3Db&sslmode=require",
        tmp_path,
        **limits,
    )["environ"]
    newer = told(
        Command("x", database_variable="DB"),
        "postgresql://h/d",
        tmp_path,
        **limits | {"version": 180000},
    )["environ"]

    assert (plain["PGHOST"], plain["PGUSER"], plain["PGPASSWORD"], plain["PGDATABASE"]) == (
        "h",
        "u",
        "p@",
        "d",
    ), "for a project that puts its address together; never those of another database"
    assert (plain["PGOPTIONS"], plain["DATABASE_URL"]) == (ours, "postgresql+asyncpg://u:p%40@h/d")
    assert (own["PGOPTIONS"], own["PGHOST"]) == (f"-c a=b {ours}", "h")
    assert own["DATABASE_URL"].startswith(
        "postgresql://h/d?options=-c%20a%3Db%20-c%20lock_timeout%3D5000"
    )
    assert own["DATABASE_URL"].endswith("&sslmode=require")
    assert (
        newer["PGOPTIONS"].endswith("client_connection_check_interval=1000")
        and newer["DB"] == "postgresql://h/d"
    )


def query_do(database: str, statement: str) -> None:
    import psycopg

    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(statement)
