"""Rehearsals on real PostgreSQL: what they find, what they leave alone, and that nothing of them
stays.
"""

import re
import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from environments.schema.rehearsal import rehearsal
from environments.schema.rehearsal.dump import Difference, DumpError, _loadable, differences
from environments.schema.rehearsal.report import (
    CANCELLED,
    DOWNGRADE,
    FAILED,
    PASSED,
    UNKNOWN,
    Report,
    Request,
)
from environments.schema.rehearsal.scratch_server import sweep
from environments.schema.rehearsal.statements import statements
from environments.schema.run.database import current
from environments.schema.run.request import Run
from environments.schema.run.runner import run
from tests.environments.schema.history.histories import repository, source
from tests.environments.schema.run.test_runner import tree

pytestmark = pytest.mark.slow

FIRST = source(
    "aaaa00000001",
    body='op.execute("create table one (id int primary key, n text)")',
    back='op.execute("drop table one")',
)
REWRITES = source(
    "aaaa00000002",
    "aaaa00000001",
    body="""op.execute("alter table one alter column n type int using n::int")
    op.execute("create table two (id int references one)")
    with op.get_context().autocommit_block():
        op.execute("create index concurrently ix_n on one (n)")""",
    back="""op.execute("drop index ix_n")
    op.execute("drop table two")
    op.execute("alter table one alter column n type text")""",
)


def second(body: str, back: str = "pass") -> str:
    return source("aaaa00000002", "aaaa00000001", body=body, back=back)


def on(url: str, statement: str) -> list[tuple]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


class Stage:
    """A repository, a database where its first revision ran, and a place for scratch servers."""

    def __init__(self, folder, database: str, *sources: str) -> None:
        self.mirror = repository(folder / "git", tree(*sources))
        # Side by side, so that the empty server is made once for all of them.
        self.root, self.url = folder.parent / "rehearsals" / folder.name, database
        first = Run(self.mirror.commit("main"), "alembic.ini", database, target=("aaaa00000001",))
        assert (
            run(self.mirror, first, on_lines=lambda lines: None, alive=lambda: True).status
            == "succeeded"
        )

    def rehearse(self, *, alive=lambda: True, **changes) -> Report:
        request = Request(
            self.mirror.commit("main"), "alembic.ini", self.url, root=self.root, compare=False
        )
        return rehearsal.rehearse(
            self.mirror,
            replace(request, **changes),
            on_phase=lambda report, phase: None,
            alive=alive,
        )

    @property
    def left_behind(self) -> list[str]:
        return [one.name for one in self.root.iterdir() if one.name != "lock"]


def test_it_tells_locks_rewrites_and_differences_and_the_database_is_only_read(tmp_path, database):
    stage = Stage(tmp_path, database, FIRST, REWRITES)
    on(database, "insert into one values (1, '7')")
    on(database, "create index ix_hand on one (n)")
    on(database, "create role rehearsal_webby")
    try:
        on(
            database,
            "grant select on one to rehearsal_webby; create policy p on one to rehearsal_webby"
            " using (true)",
        )
        on(
            database,
            "create extension postgres_fdw; create server far foreign data wrapper postgres_fdw",
        )
        on(database, "create user mapping for public server far options (password 'canary-1234')")

        report = stage.rehearse(compare=True)
    finally:
        on(
            database,
            "drop policy p on one; drop owned by rehearsal_webby; drop role rehearsal_webby",
        )

    assert report.status == PASSED, report.sentence
    assert (report.start, report.target, report.warnings) == (
        ("aaaa00000001",),
        ("aaaa00000002",),
        (),
    )
    told = {
        (statement.run, statement.sql.split(" (")[0]): statement for statement in report.statements
    }
    rewriting = told["first", "alter table one alter column n type int using n::int"]
    assert rewriting.rewritten == ("public.one",)
    assert [(lock.table, lock.mode) for lock in rewriting.locks] == [
        ("public.one", "AccessExclusiveLock")
    ]
    assert rewriting.locks[0].seconds >= rewriting.seconds
    outside = told["first", "create index concurrently ix_n on one"]
    assert (outside.in_transaction, outside.locks) == (False, ())
    assert Difference("changed", "table", "one", ("- n text", "+ n integer")) in report.changes
    assert report.left == () and "restores the schema exactly" in report.sentence
    by_hand = {(one.type, one.name) for one in report.drift}
    assert {("index", "ix_hand"), ("policy", "one p"), ("extension", "postgres_fdw")} <= by_hand
    assert "canary-1234" not in repr(report)
    assert current(database) == ("aaaa00000001",) and on(database, "select id, n from one") == [
        (1, "7")
    ]
    assert stage.left_behind == []


def test_what_only_this_database_has_makes_the_statement_fail_and_going_back_starts_from_there(
    tmp_path, database
):
    stage = Stage(tmp_path, database, FIRST, second('op.execute("alter table one add extra int")'))
    on(database, "alter table one add extra text")

    report = stage.rehearse()

    assert report.status == FAILED and "already exists" in report.sentence
    assert report.failed_statement == "alter table one add extra int"

    back = stage.rehearse(direction=DOWNGRADE)

    assert (back.status, back.start, back.target) == (PASSED, ("aaaa00000001",), ())
    assert [file["id"] for file in back.files] == ["aaaa00000001"]
    assert [statement.sql for statement in back.statements if statement.run == "first"] == [
        "drop table one"
    ]


@pytest.mark.parametrize(
    ("back", "warning"),
    [
        ('raise NotImplementedError("no way")', "The downgrade failed: Revision aaaa00000002"),
        ("pass", "The downgrade leaves the schema different: index ix_n added"),
    ],
)
def test_a_way_back_that_is_not_there_warns_and_does_not_fail(tmp_path, database, back, warning):
    stage = Stage(
        tmp_path, database, FIRST, second('op.execute("create index ix_n on one (n)")', back)
    )

    report = stage.rehearse()

    assert report.status == PASSED
    assert any(one.startswith(warning) for one in report.warnings), report.warnings


def test_a_locked_table_means_later_cancelling_at_once_and_a_missing_extension_not_known(
    tmp_path, database, monkeypatch
):
    monkeypatch.setattr("environments.schema.rehearsal.dump.LOCK_WAIT", "50ms")
    monkeypatch.setattr("environments.schema.rehearsal.dump.ASK_SECONDS", 0.0)
    stage = Stage(tmp_path, database, FIRST, REWRITES)

    with psycopg.connect(database) as other:
        other.execute("lock table one in access exclusive mode")
        with pytest.raises(DumpError, match="stayed locked") as refused:
            stage.rehearse()
    cancelled = stage.rehearse(alive=lambda: False)
    on(database, "create extension citext")
    monkeypatch.setattr(
        "environments.schema.rehearsal.scratch_server.Scratch.extensions",
        lambda scratch: {"plpgsql"},
    )
    unknown = stage.rehearse()

    assert refused.value.busy and cancelled.status == CANCELLED
    assert unknown.status == UNKNOWN and "citext" in unknown.sentence
    assert stage.left_behind == []


def test_a_run_works_in_its_own_files_and_the_child_of_the_next_goes_when_it_fails(
    tmp_path, database
):
    asks = """import os, pathlib
    here = pathlib.Path.cwd()
    alike = [os.environ["HOME"], os.environ["TMPDIR"]] == [str(here)] * 2
    inside = pathlib.Path(__file__).is_relative_to(here)
    raise RuntimeError(f"{here.parent.name}/{here.name} {alike} {inside}")"""
    stage = Stage(tmp_path, database, FIRST, second(asks))

    report = stage.rehearse()

    assert report.status == FAILED
    assert re.search(r"work/portal-migration-\S+ True True", report.sentence)
    assert [
        process for process in places_of_processes() if process.is_relative_to(stage.root)
    ] == []


def places_of_processes() -> list[Path]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            found.append((process / "cwd").readlink())
    return found


def test_what_a_killed_rehearsal_left_is_swept_and_what_runs_is_not(tmp_path):
    from portal.server.embedded_postgres import start

    (tmp_path / "dead" / "work").mkdir(parents=True)
    (tmp_path / "half").mkdir()
    server = start(tmp_path / "alive" / "server", fsync=False)
    try:
        swept = sweep(tmp_path)

        assert swept == 2 and [one.name for one in tmp_path.iterdir()] == ["alive"]
        assert server.is_alive
    finally:
        server.stop()
        shutil.rmtree(tmp_path / "alive")


def test_a_lock_lasts_until_its_transaction_ends_and_is_told_once():
    def said(sql: str, at: float, *locks: list[str]) -> dict:
        return {
            "statement": sql,
            "seconds": 0.1,
            "at": at,
            "in_transaction": True,
            "locks": list(locks),
            "rewritten": [],
        }

    read, write = ["public.a", "AccessShareLock"], ["public.a", "RowExclusiveLock"]
    alter = ["public.a", "AccessExclusiveLock"]
    events = (
        {"statement": "select"},
        {"start": "r"},
        said("select", 1, read),
        said("update", 2, read, write),
        said("alter", 3, read, write, alter),
        said("more", 4, read, write, alter),
        {"over": 5.0},
        said("alone", 6, write),
        {"end": "r"},
    )

    told = [
        (statement.sql, [(lock.mode, lock.seconds) for lock in statement.locks])
        for statement in statements("first", events)
    ]

    assert told == [
        ("select", []),
        ("update", [("RowExclusiveLock", 3.0)]),
        ("alter", [("AccessExclusiveLock", 2.0)]),
        ("more", []),
        ("alone", [("RowExclusiveLock", None)]),
    ]


def test_a_mere_change_of_the_order_of_columns_is_called_that():
    head = "--\n-- Name: one; Type: TABLE; Schema: public; Owner: -\n--\n\n"
    before = f"{head}CREATE TABLE one (\n    a int,\n    b int\n);\n"
    after = (
        f"SET x = 1;\n{head}CREATE TABLE one (\n    b int,\n    a int\n);\n\nSET default_tablespace"
        " = '';\n"
    )

    assert differences(before, after) == (
        Difference("changed", "table", "one", ("only the order of the columns",)),
    )
    assert (
        _loadable(
            f"a\n{head}b\n" + head.replace("TABLE", "USER MAPPING") + "secret\n" + head + "c\n"
        ).count("secret")
        == 0
    )


def test_with_nothing_to_run_it_still_compares_the_schema(tmp_path, database):
    stage = Stage(tmp_path, database, FIRST)
    on(database, "create index ix_hand on one (n)")

    report = stage.rehearse(compare=True)

    assert (report.status, report.files, report.left) == ("passed", (), ())
    assert report.sentence.startswith("Nothing to run: the database is at aaaa00000001, the head.")
    assert [one.sentence for one in report.drift] == ["index ix_hand added"]
