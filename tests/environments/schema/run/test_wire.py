"""What the project's own command sends is read on the wire, outside its reach, on a real
PostgreSQL.
"""

from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from environments.schema.run.alembic_env.statements import key_of
from environments.schema.run.database import current
from environments.schema.run.request import Run
from environments.schema.run.runner import run
from portal import isolation
from tests.environments.schema.history.histories import repository, source
from tests.environments.schema.run.test_command import go, tree
from tests.environments.schema.run.test_runner import FIRST, SECOND, tables
from tests.portal.isolation.tls import behind_tls, certificate

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(isolation.why_not()), reason=isolation.why_not() or "-"),
]


def sent(outcome) -> dict[str, list[str]]:
    return {
        revision: [sql for _, sql in statements]
        for revision, statements in outcome.executed.items()
    }


def test_each_revision_of_a_command_has_its_statements(tmp_path, database):
    mirror = repository(tmp_path / "git", tree(FIRST, SECOND))

    outcome, lines = go(mirror, database)

    assert outcome.status == "succeeded", (outcome, lines)
    assert any("create table one" in one.lower() for one in sent(outcome)["aaaa00000001"]), sent(
        outcome
    )
    assert any("create table two" in one.lower() for one in sent(outcome)["aaaa00000002"]), sent(
        outcome
    )
    assert not any("create table two" in one.lower() for one in sent(outcome)["aaaa00000001"])
    assert not any(
        "version_num" in one and one.startswith(("UPDATE", "INSERT"))
        for all in sent(outcome).values()
        for one in all
    )


def test_a_connection_of_the_revisions_own_is_read_as_well(tmp_path, database):
    hidden = (
        "import os, psycopg\n    with psycopg.connect(os.environ['DATABASE_URL']) as c:"
        " c.execute('create table hidden (id int)')"
    )
    mirror = repository(tmp_path / "git", tree(source("aaaa00000001", body=hidden)))

    outcome, lines = go(mirror, database)

    assert outcome.status == "succeeded" and "hidden" in tables(database), (outcome, lines)
    assert "create table hidden (id int)" in sent(outcome)["aaaa00000001"]


def test_a_connection_of_its_own_is_held_back_in_the_portals_runner_too(tmp_path, database):
    hidden = (
        "import psycopg\n    url ="
        " op.get_bind().engine.url.render_as_string(hide_password=False).replace('+psycopg', '')\n "
        "   with psycopg.connect(url) as c: c.execute('create table hidden (id int)')"
    )
    mirror = repository(
        tmp_path / "git",
        tree(source("aaaa00000001", body=f"op.execute('create table one (id int)')\n    {hidden}")),
    )
    request = Run(mirror.commit("main"), "backend/alembic.ini", database, time_limit_s=60)
    keys = [key_of("create table one (id int)")]

    refused = run(
        mirror,
        replace(request, expected={"aaaa00000001": keys}),
        on_lines=print,
        alive=lambda: True,
    )

    assert (
        refused.status == "failed" and "staging did not run this statement" in refused.sentence
    ), refused
    assert tables(database) <= {"alembic_version"}

    allowed = [*keys, key_of("create table hidden (id int)")]
    again = run(
        mirror,
        replace(request, expected={"aaaa00000001": allowed}),
        on_lines=print,
        alive=lambda: True,
    )

    assert again.status == "succeeded" and "hidden" in tables(database), again


def test_what_staging_did_not_run_is_not_sent(tmp_path, database):
    mirror = repository(
        tmp_path / "git",
        tree(source("aaaa00000001", body='op.execute("create table other (id int)")')),
    )
    learned, lines = go(mirror, database)
    assert learned.status == "succeeded", lines
    import psycopg

    with psycopg.connect(database, autocommit=True) as opened:
        opened.execute("drop table other, alembic_version")
    keys = [key for key, sql in learned.executed["aaaa00000001"] if "create table other" not in sql]

    refused, lines = go(mirror, database, expected={"aaaa00000001": keys})

    assert (
        refused.status == "failed" and "staging did not run this statement" in refused.sentence
    ), (refused, lines)
    assert refused.failed_statement == "create table other (id int)"
    assert current(database) == () and "other" not in tables(database)

    again, lines = go(
        mirror, database, expected={"aaaa00000001": [*keys, key_of("create table other (id int)")]}
    )

    assert again.status == "succeeded", (again, lines)


def test_a_command_reaches_a_database_that_demands_tls_and_is_read_all_the_same(tmp_path, database):
    mirror, own = repository(tmp_path / "git", tree(FIRST)), certificate(tmp_path)
    plain = urlsplit(database)
    with behind_tls((plain.hostname, plain.port), own) as port:
        place = f"{plain.netloc.rpartition(':')[0]}:{port}"
        asked = f"sslmode=verify-full&sslrootcert={own.file}"
        demanding = plain._replace(netloc=place, query=asked).geturl()

        outcome, lines = go(mirror, demanding)

    assert outcome.status == "succeeded" and "one" in tables(database), (outcome, lines)
    assert any("create table one" in one.lower() for one in sent(outcome)["aaaa00000001"])
