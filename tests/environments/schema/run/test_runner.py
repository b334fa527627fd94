"""The portal's runner on a real PostgreSQL, with scripts that behave and scripts that do not."""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import psycopg
import pytest

from environments.schema.run.command import APPLICATION_NAME
from environments.schema.run.database import current, invalid_indexes
from environments.schema.run.request import Outcome, Run
from environments.schema.run.runner import run
from tests.environments.schema.history.histories import repository, source

pytestmark = pytest.mark.slow
BACK = 'op.execute("drop table {0}")'
FIRST = source(
    "aaaa00000001",
    body='op.execute("create table one (id int)")',
    back='op.execute("drop table one")',
)
SECOND = source(
    "aaaa00000002",
    "aaaa00000001",
    body='op.execute("create table two (id int)")',
    back='op.execute("drop table two")',
)


def tree(*sources: str) -> dict[str, str]:
    files = {f"db/versions/{number}.py": text for number, text in enumerate(sources)}
    return {
        "alembic.ini": "[alembic]\nscript_location = %(here)s/db\n",
        "db/env.py": "raise SystemExit(7)",
        **files,
    }


def asked(mirror, database: str, **changes) -> Run:
    return replace(
        Run(mirror.commit("main"), "alembic.ini", database, lock_wait_s=30, time_limit_s=60),
        **changes,
    )


def go(mirror, request: Run, *, alive=lambda: True) -> tuple[Outcome, list[str]]:
    lines: list[str] = []
    return run(mirror, request, on_lines=lines.extend, alive=alive), lines


def query(database: str, statement: str) -> list[tuple]:
    with psycopg.connect(database) as connection:
        return connection.execute(statement).fetchall()


def tables(database: str) -> set[str]:
    return {
        name
        for (name,) in query(
            database, "select tablename from pg_tables where schemaname = 'public'"
        )
    }


def test_it_brings_an_empty_database_to_head_and_tells_so_live(tmp_path, database):
    mirror = repository(tmp_path / "git", tree(FIRST, SECOND))

    outcome, lines = go(mirror, asked(mirror, database))

    assert outcome.status == "succeeded", outcome
    assert (outcome.before, outcome.after) == ((), ("aaaa00000002",)) and current(
        database
    ) == outcome.after
    assert [id for id, seconds in outcome.applied if seconds is not None] == [
        "aaaa00000001",
        "aaaa00000002",
    ]
    assert any(line.startswith("Running aaaa00000001 Change") for line in lines)
    assert any(line.startswith("Finished aaaa00000002 in") for line in lines)
    assert tables(database) == {"alembic_version", "one", "two"}

    again, lines = go(mirror, asked(mirror, database))

    assert (again.status, again.applied, lines) == ("succeeded", (), []), (
        "a database already there is left alone"
    )


def test_a_downgrade_goes_back_to_one_revision_and_to_base(tmp_path, database):
    mirror = repository(tmp_path / "git", tree(FIRST, SECOND))
    go(mirror, asked(mirror, database))

    back, _ = go(mirror, asked(mirror, database, direction="downgrade", target=("aaaa00000001",)))
    base, _ = go(mirror, asked(mirror, database, direction="downgrade", target=("base",)))

    assert (back.status, back.after, [id for id, _ in back.applied]) == (
        "succeeded",
        ("aaaa00000001",),
        ["aaaa00000002"],
    )
    assert (base.status, base.after) == ("succeeded", ())
    assert tables(database) == {"alembic_version"}


def test_merges_labels_and_dependencies_end_where_alembic_ends(tmp_path, database):
    files = [
        source("a1", labels="left"),
        source("b1", labels="right", deps=("a1",)),
        source("a2", "a1"),
        source("b2", "b1"),
        source("a3", "a2", deps="right"),
    ]
    mirror = repository(tmp_path / "git", tree(*files))

    outcome, _ = go(mirror, asked(mirror, database))

    assert outcome.status == "succeeded", outcome
    assert len(outcome.applied) == 5


def test_target_version_table_and_the_address_of_another_driver_are_followed(tmp_path, database):
    with psycopg.connect(database) as connection:
        connection.execute("create schema meta")
    mirror = repository(tmp_path / "git", tree(FIRST, SECOND))
    url = database.replace("postgresql://", "postgresql+asyncpg://") + "?ssl=prefer"

    outcome, _ = go(
        mirror, asked(mirror, url, target=("aaaa00000001",), version_table="meta.versions")
    )

    assert outcome.status == "succeeded", outcome
    assert current(database, table="meta.versions") == ("aaaa00000001",)


def test_a_failing_revision_is_named_with_its_statement_and_the_first_stays(tmp_path, database):
    bad = source("aaaa00000002", "aaaa00000001", body='op.execute("alter table nowhere add x int")')
    mirror = repository(tmp_path / "git", tree(FIRST, bad))

    outcome, lines = go(mirror, asked(mirror, database))

    assert outcome.status == "failed"
    assert outcome.failed_revision == "aaaa00000002"
    assert outcome.failed_statement == "alter table nowhere add x int"
    assert "“" not in outcome.sentence and 'relation "nowhere" does not exist' in outcome.sentence
    assert (outcome.after, [id for id, _ in outcome.applied]) == (
        ("aaaa00000001",),
        ["aaaa00000001"],
    )
    assert any("db/versions/1.py" in line for line in lines), "the traceback shows the place"


def test_a_missing_package_is_named(tmp_path, database):
    script = FIRST.replace(
        "import sqlalchemy as sa", "import sqlalchemy as sa\nfrom ourapp.models import Signal"
    )
    mirror = repository(tmp_path / "git", tree(script))

    outcome, _ = go(mirror, asked(mirror, database))

    assert (outcome.status, outcome.after) == ("failed", ())
    assert "“ourapp”" in outcome.sentence


def test_old_revisions_are_not_executed_so_their_packages_are_not_missed(tmp_path, database):
    mirror = repository(tmp_path / "git", tree(FIRST), tree(f"import ourapp\n{FIRST}", SECOND))
    go(mirror, asked(mirror, database, commit=mirror.commit("c0")))

    outcome, _ = go(mirror, asked(mirror, database))

    assert (outcome.status, outcome.after) == ("succeeded", ("aaaa00000002",))


def test_an_unknown_revision_in_the_database_is_refused_before_anything_runs(tmp_path, database):
    mirror = repository(tmp_path / "git", tree(FIRST, SECOND), {"db/versions/1.py": None})
    go(mirror, asked(mirror, database, commit=mirror.commit("c0")))

    outcome, lines = go(mirror, asked(mirror, database))

    assert (outcome.status, outcome.before, lines) == ("failed", ("aaaa00000002",), [])
    assert "“aaaa00000002”" in outcome.sentence


def test_two_heads_are_refused_with_the_command_that_joins_them(tmp_path, database):
    other = source("bbbb00000002", "aaaa00000001")
    mirror = repository(tmp_path / "git", tree(FIRST, SECOND, other))

    outcome, _ = go(mirror, asked(mirror, database))

    assert outcome.status == "failed" and "alembic merge" in outcome.sentence
    assert tables(database) == set()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('op.execute("drop table alembic_version")', "failed"),
        ("import os; os._exit(0)", "is at aaaa00000001, not at aaaa00000002"),
        ("import os, signal; os.kill(os.getppid(), 9); signal.pause()", "Operation not permitted"),
        ("import os; os.kill(os.getpid(), 9)", "without a message"),
        (
            (
                'op.execute("delete from alembic_version"); op.get_bind().commit(); import os;'
                " os._exit(0)"
            ),
            "no revision",
        ),
    ],
)
def test_a_script_that_plays_tricks_never_ends_as_success(tmp_path, database, body, words):
    mirror = repository(
        tmp_path / "git", tree(FIRST, source("aaaa00000002", "aaaa00000001", body=body))
    )

    outcome, _ = go(mirror, asked(mirror, database))

    assert outcome.status == "failed"
    assert words in outcome.sentence
    assert outcome.after == current(database) != ("aaaa00000002",)


def test_a_revision_that_never_ends_is_ended_and_rolled_back(tmp_path, database, monkeypatch):
    body = 'op.execute("create table two ()"); op.execute("select pg_sleep(1000)")'
    mirror = repository(
        tmp_path / "git", tree(FIRST, source("aaaa00000002", "aaaa00000001", body=body))
    )
    ahead = [0.0]  # of the runner's clock: its time is up as soon as the statement is at work
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + ahead[0], sleep=time.sleep)
    monkeypatch.setattr("environments.schema.run.start.time", clock)

    def alive() -> bool:
        if query(
            database, "select from pg_stat_activity where query like 'select pg_sleep(1000)%'"
        ):
            ahead[0] = 3600.0
        return True

    outcome, _ = go(mirror, asked(mirror, database, time_limit_s=600), alive=alive)

    assert outcome.status == "failed" and "time limit" in outcome.sentence
    assert (outcome.failed_revision, outcome.after) == ("aaaa00000002", ("aaaa00000001",))
    assert tables(database) == {"alembic_version", "one"}
    assert at_work(database) == 0


def test_a_cancelled_run_is_ended_and_the_database_is_read(tmp_path, database):
    body = "import time\n    while True:\n        time.sleep(0.1)"
    mirror = repository(
        tmp_path / "git", tree(FIRST, source("aaaa00000002", "aaaa00000001", body=body))
    )
    lines: list[str] = []

    outcome = run(
        mirror,
        asked(mirror, database),
        on_lines=lines.extend,
        alive=lambda: not any("Running aaaa00000002" in line for line in lines),
    )

    assert (outcome.status, outcome.after) == ("cancelled", ("aaaa00000001",))
    assert at_work(database) == 0


def test_statements_wait_for_locks_only_so_long(tmp_path, database):
    go(
        repository(tmp_path / "a", tree(FIRST)),
        asked(repository(tmp_path / "b", tree(FIRST)), database),
    )
    bad = source("aaaa00000002", "aaaa00000001", body='op.execute("alter table one add x int")')
    mirror = repository(tmp_path / "git", tree(FIRST, bad))
    with psycopg.connect(database) as busy:
        busy.execute("select * from one")

        outcome, _ = go(mirror, asked(mirror, database, lock_timeout_ms=300))

    assert outcome.status == "failed" and "lock timeout" in outcome.sentence


def test_100_mb_of_output_is_counted_and_not_kept(tmp_path, database):
    body = (
        "import sys\n    for _ in range(100): sys.stdout.write('x' * 99 + chr(10));"
        " sys.stdout.write('y' * 1_000_000)"
    )
    mirror = repository(tmp_path / "git", tree(source("aaaa00000001", body=body)))

    outcome, lines = go(mirror, asked(mirror, database))

    assert outcome.status == "succeeded", outcome
    assert outcome.output_bytes > 100_000_000
    assert sum(map(len, lines)) < 1_200_000
    assert any("counted but not kept" in line for line in lines)


def test_whatever_a_script_starts_ends_with_the_run(tmp_path, database):
    body = (
        "import os, subprocess\n"
        "    subprocess.Popen(['sleep', '4321.5'], start_new_session=True)\n"
        "    if os.fork() == 0:\n"
        "        os.setsid()\n"
        "        if os.fork() == 0: os.execvp('sleep', ['sleep', '4321.5'])\n"
        "        os._exit(0)"
    )
    mirror = repository(tmp_path / "git", tree(source("aaaa00000001", body=body)))

    outcome, _ = go(mirror, asked(mirror, database))

    assert outcome.status == "succeeded", outcome
    assert not running("sleep 4321.5")


def test_no_secret_reaches_log_or_outcome(tmp_path, database):
    password = database.partition(":")[2].split(":")[1].split("@")[0]
    body = (
        "import os, json\n    c = op.get_bind().engine.url\n    print('url',"
        " c.render_as_string(hide_password=False), os.environ['API_KEY'],"
        " json.dumps(os.environ['API_KEY']))\n    print('z' * 20000 + os.environ['API_KEY'] + 'z' *"
        " 20000, end='')\n    op.execute(f\"select 'canary/with \\\"quotes' from"
        " {os.environ['API_KEY']!r}\")"
    )
    mirror = repository(tmp_path / "git", tree(source("aaaa00000001", body=body)))
    secret = 'canary/with "quotes'

    outcome, lines = go(
        mirror, asked(mirror, database, variables={"API_KEY": secret}, secrets=(secret,))
    )

    assert outcome.status == "failed" and len(password) > 10
    for text in [repr(outcome), repr(asked(mirror, database, secrets=(secret,))), *lines]:
        assert password not in text and "canary/with" not in text
    assert any("url" in line for line in lines)


def test_scripts_see_only_the_variables_of_their_environment(tmp_path, database, monkeypatch):
    monkeypatch.setenv("SECRET_KEY", "the portal's own")
    body = (
        "import os, sys; print('SEES', sorted(os.environ), sys.argv, 'environments' in sys.modules)"
    )
    mirror = repository(tmp_path / "git", tree(source("aaaa00000001", body=body)))

    _, lines = go(mirror, asked(mirror, database, variables={"REGION": "eu"}))

    [seen] = [line for line in lines if line.startswith("SEES")]
    assert (
        "REGION" in seen
        and "SECRET_KEY" not in seen
        and "DATABASE_URL" not in seen
        and "5432" not in seen
    )


CONCURRENT = (
    'with op.get_context().autocommit_block():\n        op.execute("create index concurrently'
    ' ix_one on one (id)")'
)


def test_two_upgrades_at_once_with_a_concurrent_index_both_succeed_and_one_runs(tmp_path, database):
    mirror = repository(
        tmp_path / "git", tree(FIRST, source("aaaa00000002", "aaaa00000001", body=CONCURRENT))
    )
    outcomes: list[Outcome] = []
    threads = [
        threading.Thread(target=lambda: outcomes.append(go(mirror, asked(mirror, database))[0]))
        for _ in range(2)
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert [outcome.status for outcome in outcomes] == ["succeeded", "succeeded"], outcomes
    assert sorted(len(outcome.applied) for outcome in outcomes) == [0, 2]


def test_another_run_that_takes_too_long_makes_this_one_busy(tmp_path, database):
    mirror = repository(tmp_path / "git", tree(FIRST))
    with psycopg.connect(database, autocommit=True, application_name=APPLICATION_NAME):
        outcome, lines = go(mirror, asked(mirror, database, lock_wait_s=0.6))

    assert (outcome.status, lines, tables(database)) == ("busy", [], set())


def test_an_invalid_index_left_by_a_failed_build_is_named(tmp_path, database):
    with psycopg.connect(database) as connection:
        connection.execute("create table one (id int)")
        connection.execute("insert into one values (1), (1)")
    body = CONCURRENT.replace("create index", "create unique index")
    mirror = repository(tmp_path / "git", tree(source("aaaa00000001", body=body)))

    outcome, _ = go(mirror, asked(mirror, database))

    assert (outcome.status, outcome.invalid_indexes) == ("failed", ("ix_one",))
    assert "ix_one" in outcome.sentence and invalid_indexes(database) == ("ix_one",)


def test_a_server_session_cut_off_in_mid_statement_ends_as_failed_with_a_known_state(
    tmp_path, database
):
    body = 'op.execute("select pg_sleep(1000)")'
    mirror = repository(
        tmp_path / "git", tree(FIRST, source("aaaa00000002", "aaaa00000001", body=body))
    )

    def cut() -> None:
        for _ in range(300):
            if query(
                database,
                "select pg_terminate_backend(pid) from pg_stat_activity where query like"
                " '%pg_sleep(1000)' and pid <> pg_backend_pid()",
            ):
                return
            time.sleep(0.05)

    thread = threading.Thread(target=cut)
    thread.start()
    outcome, _ = go(mirror, asked(mirror, database))
    thread.join()

    assert (outcome.status, outcome.after) == ("failed", ("aaaa00000001",))
    assert not outcome.repeatable, "whoever ended it may not want it again"


def test_a_database_that_cannot_be_read_afterwards_is_unknown_and_never_green(
    tmp_path, database, monkeypatch
):
    monkeypatch.setattr("environments.schema.run.outcome.SETTLE_SECONDS", 1.0)
    name = database.rpartition("/")[2]
    rename = f"alter database {name} allow_connections false"
    body = (
        f"import psycopg; psycopg.connect({os.environ['DATABASE_URL']!r},"
        f" autocommit=True).execute({rename!r})"
    )
    mirror = repository(tmp_path / "git", tree(source("aaaa00000001", body=body)))

    outcome, _ = go(mirror, asked(mirror, database))

    assert (outcome.status, outcome.after) == ("unknown", None)


def test_a_killed_parent_takes_the_run_and_all_it_started_with_it(tmp_path, database):
    body = (
        "import subprocess\n    subprocess.Popen(['sleep', '8765.25'], start_new_session=True)\n"
        '    op.execute("select pg_sleep(1000)")'
    )
    mirror = repository(
        tmp_path / "git", tree(FIRST, source("aaaa00000002", "aaaa00000001", body=body))
    )
    program = (
        "import sys; from pathlib import Path; from environments.git.repository import Mirror\n"
        "from environments.schema.run.request import Run\n"
        "from environments.schema.run.runner import run\n"
        "run(Mirror(Path(sys.argv[1])), Run(sys.argv[2], 'alembic.ini', sys.stdin.readline()),"
        " on_lines=lambda lines: print(*lines, sep='\\n', flush=True), alive=lambda: True)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program, str(mirror.path), mirror.commit("main")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    parent.stdin.write(database + "\n")
    parent.stdin.flush()
    for line in parent.stdout:
        if line.startswith("Running aaaa00000002"):
            break
    assert wait_for(lambda: running("sleep 8765.25"))

    parent.send_signal(signal.SIGKILL)
    parent.wait()

    assert wait_for(lambda: not running("sleep 8765.25"))
    assert wait_for(lambda: at_work(database) == 0)
    again = source("aaaa00000002", "aaaa00000001")
    fixed = repository(tmp_path / "fixed", tree(FIRST, again))
    outcome, _ = go(fixed, asked(fixed, database))
    assert (outcome.status, outcome.before) == ("succeeded", ("aaaa00000001",))


def test_a_read_only_role_is_refused_before_anything_runs(tmp_path, database):
    mirror = repository(tmp_path / "git", tree(FIRST))

    outcome, lines = go(
        mirror, asked(mirror, database + "?options=-cdefault_transaction_read_only%3Don")
    )

    assert outcome.status == "failed" and "read-only" in outcome.sentence and not lines


def at_work(database: str) -> int:
    return query(
        database,
        "select count(*) from pg_stat_activity where datname = current_database()"
        " and application_name = 'release-portal migration'",
    )[0][0]


def running(command: str) -> bool:
    return (
        command in subprocess.run(["ps", "-eo", "stat,args"], capture_output=True, text=True).stdout
    )


def wait_for(condition, seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
