"""A database that goes away in the middle of a run: what may be repeated, and what not."""

import signal
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from portal.server.embedded_postgres import start
from tests.environments.schema.history.histories import repository, source
from tests.environments.schema.run.test_runner import FIRST, asked, go, query, tables, tree

pytestmark = pytest.mark.slow
SLEEP = "perform pg_sleep(case when exists (select from calm) then 0 else 1000 end)"
SLEEPS = f"do 'begin {SLEEP}; end'"
WITHIN = f'op.execute("create table two (id int)")\n    op.execute("{SLEEPS}")'
ALONE = f'with op.get_context().autocommit_block():\n        op.execute("{SLEEPS}")'


@pytest.fixture
def server(tmp_path):
    """A server of its own, in a list, so that another one can take its place."""
    servers = [start(tmp_path / "server")]
    with psycopg.connect(servers[0].url) as connection:
        connection.execute("create table calm ()")
    yield servers
    servers[0].stop()


def sleeping(url: str) -> bool:
    for _ in range(600):
        try:
            if query(url, f"select from pg_stat_activity where query = $${SLEEPS}$$"):
                return True
        except psycopg.Error:
            pass
        time.sleep(0.05)
    return False


def restart(servers) -> None:
    """As a crash does; its children end with the thread that started them, so not in another."""
    servers[0].process.send_signal(signal.SIGQUIT)
    servers[0].process.wait()
    servers[0].stop()
    servers[0] = start(servers[0].directory)


@pytest.mark.parametrize(("body", "repeatable"), [(WITHIN, True), (ALONE, False)])
def test_a_run_whose_server_restarted_is_repeatable_where_all_of_it_was_rolled_back(
    tmp_path, server, body, repeatable
):
    mirror = repository(
        tmp_path / "git", tree(FIRST, source("aaaa00000002", "aaaa00000001", body=body))
    )
    url = server[0].url
    with ThreadPoolExecutor() as other:
        running = other.submit(go, mirror, asked(mirror, url))
        assert sleeping(url)
        restart(server)
        outcome, lines = running.result()

    assert (outcome.status, outcome.after) == ("failed", ("aaaa00000001",)), lines
    assert (outcome.repeatable, tables(url)) == (repeatable, {"alembic_version", "calm", "one"})

    with psycopg.connect(url) as connection:
        connection.execute("alter table calm add x int")
        connection.execute("insert into calm values (1)")
    again, lines = go(mirror, asked(mirror, url))

    assert (again.status, again.repeatable) == ("succeeded", False), lines
