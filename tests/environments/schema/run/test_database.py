"""What is read from target databases, and the one sentence for each that cannot be read."""

import os
from urllib.parse import urlsplit

import psycopg
import pytest

from environments.schema.run.address import DatabaseError, normalise
from environments.schema.run.database import connection, current, invalid_indexes, refusal

SERVER = urlsplit(os.environ["DATABASE_URL"])


def test_the_version_table_is_read_sorted_and_its_absence_is_no_revision(database):
    assert current(database) == ()
    with psycopg.connect(database) as opened:
        opened.execute("create table alembic_version (version_num varchar(32) primary key)")
        opened.execute("insert into alembic_version values ('b'), ('a')")

    assert current(database) == ("a", "b")
    assert current(database, table='no such; table"') == ()
    assert current(database, table="nowhere.alembic_version") == ()


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("", "address"),
        ("mysql://u:hunter2@h/db", "engine"),
        ("sqlite:///hunter2", "engine"),
        ("postgresql+hunter2://u:hunter2@h/db", "engine"),
        ("hunter2", "engine"),
        ("postgresql://u:hunter2#x@h/db", "address"),
        ("postgresql://u:hunter2@h:99999/db", "address"),
        ("postgresql://u:hunter2@h:port/db", "address"),
        ("postgresql://u:hunter2@127.0.0.1:9/db", "unreachable"),
        ("postgresql://u:hunter2@nowhere.invalid/db", "unreachable"),
        (
            SERVER._replace(netloc=f"postgres:hunter2@{SERVER.hostname}:{SERVER.port}").geturl(),
            "credentials",
        ),
        (SERVER._replace(netloc=f"{SERVER.hostname}:{SERVER.port}").geturl(), "credentials"),
        (SERVER._replace(path="/nowhere").geturl(), "missing"),
    ],
)
def test_each_way_of_failing_has_its_own_sentence_without_secrets(url, kind):
    with pytest.raises(DatabaseError) as raised:
        current(url, connect_timeout=3)

    sentence = str(raised.value)
    assert raised.value.kind == kind
    assert (
        "hunter2" not in sentence
        and "://" not in sentence
        and (SERVER.password or "?") not in sentence
    )
    assert sentence.endswith(".") and "\n" not in sentence


@pytest.mark.parametrize(
    ("url", "libpq"),
    [
        ("postgres://u:p@h:1/db", "postgresql://u:p@h:1/db"),
        (
            "postgresql+asyncpg://u:p%40@h/db?ssl=require",
            "postgresql://u:p%40@h/db?sslmode=require",
        ),
        (
            "postgresql+psycopg2://h/db?sslmode=disable&schema=x&pgbouncer=true",
            "postgresql://h/db?sslmode=disable",
        ),
        (" postgresql:///db?host=/run/pg\n", "postgresql:///db?host=%2Frun%2Fpg"),
    ],
)
def test_addresses_of_every_driver_become_ones_for_libpq_and_sqlalchemy(url, libpq):
    address = normalise(url)

    assert address.libpq == libpq
    assert address.sqlalchemy == address.libpq.replace("postgresql", "postgresql+psycopg", 1)
    assert "p%40" not in repr(address) and "p@" not in repr(address)


def test_an_unusable_index_is_named_and_a_usable_one_is_not(database):
    with psycopg.connect(database, autocommit=True) as opened:
        opened.execute("create table one (id int)")
        opened.execute("insert into one values (1), (1)")
        opened.execute("create index fine on one (id)")
        with pytest.raises(psycopg.errors.UniqueViolation):
            opened.execute("create unique index concurrently broken on one (id)")

    assert invalid_indexes(database) == ("broken",)


def test_a_role_that_may_only_read_is_told_so(database):
    with psycopg.connect(database, autocommit=True) as opened:
        opened.execute("create role looker")
        try:
            opened.execute("set role looker")
            address = normalise(database)
            assert "may not make tables" in refusal(opened, address, "alembic_version")
            opened.execute("reset role")
            opened.execute("create table alembic_version (version_num text)")
            opened.execute("grant select, insert on alembic_version to looker")
            opened.execute("set role looker")
            assert "may not write to “alembic_version”" in refusal(
                opened, address, "alembic_version"
            )
            opened.execute("reset role")
            assert refusal(opened, address, "alembic_version") == ""
        finally:
            opened.execute("reset role")
            opened.execute("drop owned by looker")
            opened.execute("drop role looker")


def test_a_connection_that_breaks_is_a_sentence_too(database):
    with pytest.raises(DatabaseError) as raised, connection(database) as opened:
        opened.execute("select pg_terminate_backend(pg_backend_pid())")

    assert raised.value.kind == "unreachable"
