"""The project's own command on a real PostgreSQL: commands that behave and commands that do not."""

# ruff: noqa: E501

import sys
import sysconfig
import threading
import time
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from environments.schema.run import virtualenvs
from environments.schema.run.command import Command
from environments.schema.run.database import current
from environments.schema.run.process import Log, Redactor
from environments.schema.run.request import Outcome, Run
from environments.schema.run.runner import run
from portal.sandbox.sample_files import ALEMBIC_INI, ENV_PY
from tests.environments.schema.history.histories import repository, source
from tests.environments.schema.run.test_runner import (
    CONCURRENT,
    FIRST,
    SECOND,
    at_work,
    query,
    running,
    tables,
    wait_for,
)

pytestmark = pytest.mark.slow

ALEMBIC = f"{sys.executable} -m alembic"
UPGRADE = f"cd backend && {ALEMBIC} upgrade head"
# An installation that needs nothing from outside: the packages of our own interpreter, by a path
# file.
OURS = sysconfig.get_path("purelib")
INSTALL = f"""python -c "import pathlib, sysconfig; pathlib.Path(sysconfig.get_path('purelib'), 'ours.pth').write_text('{OURS}')" """


def tree(*sources: str) -> dict[str, str]:
    files = {f"backend/alembic/versions/{number}.py": text for number, text in enumerate(sources)}
    return {
        "backend/alembic.ini": ALEMBIC_INI,
        "backend/alembic/env.py": ENV_PY,
        "backend/requirements.txt": "alembic\n",
        "backend/app/__init__.py": "NAME = 'one'\n",
        **files,
    }


def go(
    mirror, database: str, line: str = UPGRADE, *, alive=lambda: True, **changes
) -> tuple[Outcome, list[str]]:
    command = {name: changes.pop(name) for name in ("prepared", "variables") if name in changes}
    lines: list[str] = []
    request = Run(
        mirror.commit("main"), "backend/alembic.ini", database, lock_wait_s=30, time_limit_s=60
    )
    request = replace(request, command=Command(line, **command), **changes)
    return run(mirror, request, on_lines=lines.extend, alive=alive), lines


def test_the_projects_own_command_brings_the_database_to_head_with_its_own_packages(
    tmp_path, database
):
    uses = source(
        "aaaa00000001", body="from app import NAME; op.execute(f'create table {NAME} (id int)')"
    )
    mirror = repository(tmp_path / "git", tree(uses, SECOND))

    outcome, lines = go(mirror, database)

    assert (outcome.status, outcome.before, outcome.after) == (
        "succeeded",
        (),
        ("aaaa00000002",),
    ), lines
    assert [id for id, _ in outcome.applied] == ["aaaa00000001", "aaaa00000002"]
    assert tables(database) == {"alembic_version", "one", "two"}
    assert any(line.startswith("Running: cd backend") for line in lines)

    again, lines = go(mirror, database, "exit 1")

    assert (again.status, lines) == ("succeeded", []), "a database already there is left alone"


def test_it_sees_its_variables_and_nothing_of_the_portals(tmp_path, database, monkeypatch):
    monkeypatch.setenv("SECRET_KEY", "the portal's own")
    monkeypatch.setenv("PGOPTIONS", "-c work_mem=1MB")
    mirror = repository(tmp_path / "git", tree(FIRST))

    _, lines = go(mirror, database, "env | sort; pwd; ls", variables={"REGION": "eu-west"})

    seen = {line.partition("=")[0] for line in lines if "=" in line}
    assert seen == {
        "DATABASE_URL",
        "HOME",
        "LANG",
        "PATH",
        "PGAPPNAME",
        "PGCHANNELBINDING",
        "PGDATABASE",
        "PGHOST",
        "PGOPTIONS",
        "PGPASSWORD",
        "PGPORT",
        "PGUSER",
        "PWD",
        "PYTHONUNBUFFERED",
        "REGION",
        "RES_OPTIONS",
        "TMPDIR",
    }, seen
    assert not any("the portal's own" in line for line in lines) and "backend" in lines


def test_the_limits_reach_the_server_behind_options_of_the_projects_own(tmp_path, database):
    body = (
        "print('SEES', *[op.get_bind().exec_driver_sql(f'show {one}').scalar() for one in"
        " ('lock_timeout', 'statement_timeout', 'work_mem', 'application_name')])"
    )
    mirror = repository(
        tmp_path / "git",
        tree(source("aaaa00000001", body=body)),
        tree(source("aaaa00000001", body=body), source("aaaa00000002", "aaaa00000001", body=body)),
    )
    limits = {"lock_timeout_ms": 700, "statement_timeout_ms": 60_000}

    given, lines = go(
        mirror,
        database,
        variables={"PGOPTIONS": "-c work_mem=2MB"},
        commit=mirror.commit("c0"),
        **limits,
    )
    address, more = go(mirror, database + "?options=-c%20work_mem%3D3MB", **limits)

    assert (given.status, address.status) == ("succeeded", "succeeded"), (lines, more)
    assert "SEES 700ms 1min 2MB release-portal migration" in lines
    assert "SEES 700ms 1min 3MB release-portal migration" in more


def test_a_failing_revision_is_named_with_its_statement(tmp_path, database):
    bad = source(
        "aaaa00000002", "aaaa00000001", body='op.execute("alter table nowhere\\n add x int")'
    )
    mirror = repository(tmp_path / "git", tree(FIRST, bad))

    outcome, lines = go(mirror, database)

    assert (outcome.status, outcome.failed_revision) == ("failed", "aaaa00000002"), lines
    assert outcome.failed_statement == "alter table nowhere\n add x int"
    assert 'relation "nowhere" does not exist' in outcome.sentence, outcome.sentence
    assert outcome.after == current(database)


def test_a_command_that_plays_tricks_never_ends_as_success(tmp_path, database):
    mirror = repository(tmp_path / "git", tree(FIRST))
    drop = (
        "import os, psycopg; psycopg.connect(os.environ['DATABASE_URL'],"
        " autocommit=True).execute('$psql_drop')"
    )
    tricks = {
        "true": "is at no revision, not at aaaa00000001",
        "exit 3": "code 3",
        "nosuchprogram upgrade head": "code 127",
        "kill -9 $PPID || exit 9": "code 9",
        f"{UPGRADE}; {ALEMBIC} downgrade base; exit 0": "is at no revision",
        f"cd backend; {ALEMBIC} upgrade head; psql_drop='drop table alembic_version, one'; {sys.executable} -c \"{drop}\"": (
            "no revision"
        ),
    }

    for line, words in tricks.items():
        outcome, lines = go(mirror, database, line)

        assert outcome.status == "failed" and words in outcome.sentence, (line, outcome, lines)
        assert outcome.after == current(database) == ()


def test_a_command_that_never_ends_ignores_sigterm_and_forks_is_ended_with_all_it_started(
    tmp_path, database
):
    mirror = repository(tmp_path / "git", tree(FIRST))
    line = "trap '' TERM; setsid sleep 7531.5 & (sleep 7531.5 &) ; sleep 7531.5; sleep 7531.5"
    began = time.monotonic()

    outcome, _ = go(mirror, database, line, time_limit_s=1)

    assert outcome.status == "failed" and "time limit" in outcome.sentence
    assert time.monotonic() - began < 20
    assert wait_for(lambda: not running("sleep 7531.5"))


def test_a_cancelled_command_is_ended_with_its_statement_and_the_database_is_read(
    tmp_path, database
):
    slow = source("aaaa00000002", "aaaa00000001", body='op.execute("select pg_sleep(1000)")')
    mirror = repository(tmp_path / "git", tree(FIRST, slow))

    def request_alive() -> bool:
        return not query(
            database,
            "select 1 from pg_stat_activity where query like '%pg_sleep(1000)' and state = 'active'"
            " and pid <> pg_backend_pid()",
        )

    outcome, _ = go(mirror, database, alive=request_alive)

    assert (outcome.status, outcome.after) == ("cancelled", current(database)), outcome
    assert at_work(database) == 0


def test_output_without_end_is_counted_bounded_and_its_last_lines_are_kept(tmp_path, database):
    mirror = repository(tmp_path / "git", tree(FIRST))

    outcome, lines = go(
        mirror,
        database,
        "yes abcdefghijklmnopqrstuvwxyz | head -c 6000000; echo; echo the end; exit 5",
    )

    assert outcome.status == "failed" and outcome.output_bytes > 6_000_000
    assert sum(map(len, lines)) < 1_200_000
    assert lines[-1] == "the end"


def test_no_secret_reaches_log_or_outcome(tmp_path, database):
    password = database.partition(":")[2].split(":")[1].split("@")[0]
    bad = source(
        "aaaa00000001",
        body="import os; op.execute(f\"select '{os.environ['API_KEY']}' from nowhere\")",
    )
    mirror = repository(tmp_path / "git", tree(bad))
    line = f"env; echo $DATABASE_URL >&2; printf 'x%.0s' $(seq 9000); echo $API_KEY; {UPGRADE}"

    outcome, lines = go(
        mirror,
        database,
        line,
        variables={"API_KEY": "canary-123"},
        secrets=("canary-123", database),
    )

    assert outcome.status == "failed" and outcome.failed_statement
    for text in [repr(outcome), *lines]:
        assert password not in text and "canary-123" not in text


def test_two_commands_at_once_with_a_concurrent_index_both_succeed_and_one_runs(tmp_path, database):
    mirror = repository(
        tmp_path / "git", tree(FIRST, source("aaaa00000002", "aaaa00000001", body=CONCURRENT))
    )
    outcomes: list[Outcome] = []
    threads = [
        threading.Thread(target=lambda: outcomes.append(go(mirror, database)[0])) for _ in range(2)
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert [outcome.status for outcome in outcomes] == ["succeeded", "succeeded"], outcomes
    assert sorted(len(outcome.applied) for outcome in outcomes) == [0, 2]


def test_a_server_that_vanishes_in_mid_statement_leaves_a_known_state(tmp_path, database):
    slow = source(
        "aaaa00000001",
        body='op.execute("create table one ()"); op.execute("select pg_sleep(1000)")',
    )
    mirror = repository(tmp_path / "git", tree(slow))

    def cut() -> None:
        wait_for(
            lambda: query(
                database,
                "select pg_terminate_backend(pid) from pg_stat_activity where query like"
                " '%pg_sleep(1000)%' and pid <> pg_backend_pid()",
            ),
            30,
        )

    thread = threading.Thread(target=cut)
    thread.start()
    outcome, _ = go(mirror, database)
    thread.join()

    assert (outcome.status, outcome.after) == ("failed", ()), outcome
    assert "terminating connection" in outcome.sentence
    assert tables(database) <= {"alembic_version"}


def ready(
    mirror,
    root: Path,
    install: str = INSTALL,
    *,
    commit="main",
    alive=lambda: True,
    lines=None,
    **limits,
) -> Path:
    log = Log((lines if lines is not None else []).extend, Redactor([]))
    return virtualenvs.prepare(
        mirror,
        mirror.commit(commit),
        "backend/alembic.ini",
        install,
        root=root,
        log=log,
        alive=alive,
        **limits,
    )


def test_two_runs_at_once_make_one_environment_that_runs_the_command_and_a_bad_one_leaves_nothing(
    tmp_path, database
):
    readme = tree(FIRST) | {"backend/README": "other"}
    mirror, root = repository(tmp_path / "git", tree(FIRST), readme), tmp_path / "prepared"
    install, lines, made = f"echo built; {INSTALL}", [], []
    first = {"commit": "c0", "lines": lines}
    threads = [
        threading.Thread(target=lambda: made.append(ready(mirror, root, install, **first)))
        for _ in "ab"
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    same = ready(mirror, root, install, lines=lines)
    outcome, message = go(
        mirror,
        database,
        "which python; cd backend && python -m alembic upgrade head",
        prepared=same,
    )
    with pytest.raises(virtualenvs.NotPrepared, match="code 4"):
        ready(mirror, root, "echo sorry; exit 4", lines=lines)

    assert made == [same, same]
    assert lines.count("built") == 1
    assert any("backend/requirements.txt" in line for line in lines)
    assert outcome.status == "succeeded", message
    assert f"{same}/bin/python" in message
    assert "sorry" in lines
    assert left_in(root) == sorted([same.name, same.name.partition("-")[0]])


def test_an_environment_that_takes_too_long_is_given_up_and_leaves_nothing(tmp_path):
    mirror = repository(tmp_path / "git", tree(FIRST))

    with pytest.raises(virtualenvs.NotPrepared, match="took too long"):
        ready(mirror, tmp_path / "prepared", "sleep 7532.5", limit_s=1)

    assert left_in(tmp_path / "prepared") == []
    assert wait_for(lambda: not running("portal-preparing-"))


def left_in(root: Path) -> list[str]:
    """Environments, links to them, and what is left of their making."""
    return sorted(
        one.name for one in root.iterdir() if one.suffix != ".lock" and one.name != "cache"
    )


def test_an_environment_is_known_by_its_lock_files_and_its_install_command(tmp_path):
    files = tree(FIRST)
    other, locked = files | {"backend/README": "other"}, files | {"backend/requirements.txt": "x"}
    mirror = repository(tmp_path / "git", files, other, locked)

    def key(commit: str, install: str = INSTALL) -> str:
        return virtualenvs.key_of(mirror, mirror.commit(commit), "backend/alembic.ini", install)[0]

    assert key("c0") == key("c1")
    assert len({key("c0"), key("c2"), key("c0", "true")}) == 3
    elsewhere = repository(tmp_path / "other", files)
    assert virtualenvs.key_of(elsewhere, elsewhere.commit("main"), "backend/alembic.ini", INSTALL)[
        0
    ] != key("c0")


def test_files_are_whole_with_links_inside_and_a_link_that_leads_out_is_refused(tmp_path, database):
    mirror = repository(tmp_path / "git", tree(FIRST))
    with psycopg.connect(database):
        pass
    linked = _with_links(tmp_path / "in", {"docs/link": "../backend/README"})
    out = _with_links(tmp_path / "out", {"link": "../../etc"})

    linked.checkout_all("main", tmp_path / "files")

    assert (tmp_path / "files/docs/link").readlink() == Path("../backend/README")
    with pytest.raises(Exception, match="leads out of the repository"):
        out.checkout_all("main", tmp_path / "other")
    assert mirror.tree("main")


def _with_links(where: Path, links: dict[str, str]):
    import subprocess

    from environments.git.repository import Mirror

    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(where)], check=True)
    text = "commit refs/heads/main\ncommitter A <a@b> 1700000000 +0000\ndata 1\nc\n"
    for path, leads in links.items():
        text += f"M 120000 inline {path}\ndata {len(leads)}\n{leads}\n"
    subprocess.run(
        ["git", f"--git-dir={where}", "fast-import", "--quiet"], input=text.encode(), check=True
    )
    return Mirror(where)
