"""Rows that a risky migration of production may lose are kept before it, and come back by what
the run says.
"""

import shlex
import stat
import subprocess
from dataclasses import asdict
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from environments.databases import backup
from environments.databases.tables_at_risk import touched_by
from environments.models import MigrationPlan
from environments.schema.plan.render import Rendered, Statement, Step, steps_as_json
from environments.schema.plan.risk import assess
from portal.server.postgres_wheel import binaries
from tests.factory import make_people, make_project, make_release, make_run

pytestmark = pytest.mark.django_db
EVERYTHING = ["everything"]


@pytest.fixture
def kept_in(settings, tmp_path):
    settings.VAR_DIR = tmp_path
    return tmp_path / "backups"


def queued(
    upgrade: str, *, back: str = "", planned: bool = True, kind: str = "production", **values
):
    """A run that is about to send `upgrade`, with the plan of it."""
    release = make_release(make_project())
    run = make_run(release.project, kind=kind, status="waiting", **values)
    down = Rendered((Statement(back),)) if back else Rendered()
    file = run.planned[0]
    step = Step(
        file["id"],
        file["path"],
        file["sha256"],
        "m",
        upgrade=Rendered((Statement(upgrade),)),
        downgrade=down,
    )
    run.planned = [file if planned else file | {"id": "unheard"}]
    if planned:
        risks = [asdict(one) for one in assess([step])]
        plan = MigrationPlan(
            project=release.project, database=run.database, commit=run.commit, base="b", risks=risks
        )
        plan.steps, plan.status = steps_as_json([step]), "succeeded"
        plan.save()
    return run


def take(run, url, **changes):
    lines: list[str] = []
    ended = backup.before(run, url, tell=lines.extend, alive=changes.get("alive", lambda: True))
    return ended, lines


def filled(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("create table events (id int, note text)")
        connection.execute("insert into events select n, 'note' from generate_series(1, 50) n")
        connection.execute("create table other (id int)")


def test_the_rows_come_back_by_the_command_that_the_run_says(database, kept_in):
    filled(database)
    run = queued("DELETE FROM events")

    ended, lines = take(run, database)
    with psycopg.connect(database) as connection:
        connection.execute("delete from events")
    words = shlex.split(lines[1].split("emptied: ")[1].removesuffix("."))
    words[0] = str(binaries() / words[0])
    subprocess.run([word.replace("ADDRESS", database) for word in words], check=True)

    with psycopg.connect(database) as connection:
        assert connection.execute("select count(*) from events").fetchone() == (50,)
    assert ended is None and run.backup["tables"] == ["events"] and "Backup of events" in lines[0]
    path = Path(run.backup["path"])
    assert path.parent == kept_in and stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in kept_in.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("upgrade", "kind"),
    [
        ("ALTER TABLE events ADD COLUMN a text", "production"),
        ("DELETE FROM events", "staging"),
        ("DELETE FROM nowhere", "production"),
    ],
)
def test_it_is_taken_only_where_rows_of_production_may_be_lost(database, kept_in, upgrade, kind):
    filled(database)
    run = queued(upgrade, kind=kind)

    assert take(run, database)[0] is None and "path" not in run.backup
    assert not kept_in.exists()


def test_a_dropped_table_comes_back_with_its_types_and_rows(database, other_database, kept_in):
    with psycopg.connect(database) as connection:
        connection.execute(
            "create type mood as enum ('odd'); create table kinds (id int primary key);"
            " create table events (id serial primary key, mood mood default 'odd',"
            " kind int references kinds); insert into kinds values (7);"
            " insert into events (kind) select 7 from generate_series(1, 50)"
        )
    run = queued("DROP TABLE events")

    _, lines = take(run, database)
    with psycopg.connect(database) as connection:
        connection.execute("drop table events")
    look = lines[1].split("&& ")[1].split(" (")[0].replace("=look", f"={other_database}")
    back = lines[1].split("their rows: ")[1].split(" (")[0].replace("ADDRESS", database)
    for command in (look, back):
        words = shlex.split(command)
        subprocess.run([binaries() / words[0], *words[1:]], capture_output=True)

    for url, kinds in ((other_database, 0), (database, 1)):
        with psycopg.connect(url) as connection:
            rows = connection.execute("select count(*), max(mood) from events").fetchone()
            (left,) = connection.execute("select count(*) from kinds").fetchone()
        assert rows == (50, "odd") and left == kinds, url


def test_a_role_that_may_not_read_the_rest_keeps_the_tables(database, kept_in):
    filled(database)
    run, role = queued("DELETE FROM events"), "narrow_of_backups"
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            f"create role {role} login password 'n'; grant select on events to {role}"
        )
        parts = urlsplit(database)
        narrow = parts._replace(netloc=f"{role}:n@{parts.netloc.split('@')[1]}").geturl()
        try:
            ended, lines = take(run, narrow)
        finally:
            connection.execute(f"drop owned by {role}; drop role {role}")

    assert ended is None and run.backup["tables"] == ["events"], lines


def test_it_is_taken_once(database, kept_in):
    filled(database)
    run = queued("DELETE FROM events")
    take(run, database)

    assert take(run, database) == (None, [])


@pytest.mark.parametrize(
    ("upgrade", "values", "tables"),
    [
        ("ALTER TABLE events DROP COLUMN note", {}, ["events"]),
        ("DROP TABLE other", {}, ["other"]),
        ("DO $$ begin end $$", {}, EVERYTHING),
        ("DROP TYPE mood CASCADE", {}, EVERYTHING),
        ("select 1", {"planned": False}, EVERYTHING),
        ("select 1", {}, []),
        ("select 1", {"back": "DROP TABLE events", "direction": "upgrade"}, []),
        ("select 1", {"back": "DROP TABLE events", "direction": "downgrade"}, ["events"]),
        ("select 1", {"back": "UPDATE events SET id = 1", "direction": "downgrade"}, ["events"]),
        ("select 1", {"back": "DO $$ begin end $$", "direction": "downgrade"}, EVERYTHING),
        ("DELETE FROM a; ALTER TABLE other RENAME TO b; DROP TABLE b", {}, ["a", "other"]),
        ("ALTER TABLE other SET SCHEMA old; DELETE FROM old.other", {}, ["other"]),
        ("SET search_path = old; DELETE FROM other", {}, EVERYTHING),
    ],
)
def test_what_is_kept_is_what_may_be_lost_and_everything_where_nobody_knows(
    upgrade, values, tables
):
    if values.get("direction") == "downgrade":
        people = make_people()
        values |= {"requested_by": people["alice"], "approved_by": people["bob"]}

    found = touched_by(queued(upgrade, **values))

    assert (EVERYTHING if found.everything else list(found.tables)) == tables


@pytest.mark.parametrize(
    ("upgrade", "kept"),
    [
        ("DELETE FROM events", ["events", "hangs", "deep"]),
        ("UPDATE events SET note = ''", ["events"]),
        ("DELETE FROM apart", ["app.apart"]),  # where the run's search path may find it
        ("DELETE FROM parts", ["parts"]),
        ("UPDATE seen SET note = ''", []),  # a view: everything
    ],
)
def test_rows_that_hang_on_what_is_deleted_are_kept_too(database, kept_in, upgrade, kept):
    filled(database)
    with psycopg.connect(database) as connection:
        connection.execute(
            "alter table events add primary key (id);"
            " create table hangs (id int primary key references events on delete cascade);"
            " create table deep (id int references hangs on delete set null);"
            " create table stays (id int references events);"
            " create view seen as select * from events; create schema app;"
            " create table app.apart (id int);"
            " create table parts (id int) partition by list (id);"
            " create table part1 partition of parts for values in (1);"
            " insert into parts values (1)"
        )
    run = queued(upgrade)

    take(run, database)

    assert run.backup["tables"] == kept
    listed = subprocess.run(
        [binaries() / "pg_restore", "--list", run.backup["path"]], capture_output=True, text=True
    ).stdout
    rows = {line.split()[-2] for line in listed.splitlines() if "TABLE DATA" in line}
    names = {one.split(".")[-1] for one in kept}
    expected = names | {"part1"} - {"parts"} if "parts" in names else names
    assert rows == (expected - {"parts"} if kept else rows | {"events", "other", "stays"})


def test_too_much_is_said_and_not_kept(database, kept_in, settings):
    filled(database)
    settings.BACKUP_MAX_MB = 0.000_001
    run = queued("DELETE FROM events")

    ended, lines = take(run, database)

    assert (
        ended is None and "No backup was taken: events holds" in lines[0] and not kept_in.exists()
    )


@pytest.mark.slow
def test_without_the_backup_nothing_is_changed(database, kept_in):
    filled(database)
    with psycopg.connect(database, autocommit=True) as other:
        other.execute("begin; lock table events in access exclusive mode")
        ended, _ = take(queued("DELETE FROM events"), database)

    assert ended.status == "failed" and ended.sentence.startswith("Nothing was changed: the backup")
    assert not kept_in.exists() or list(kept_in.iterdir()) == []


def test_a_cancelled_run_leaves_no_backup(database, kept_in):
    filled(database)

    ended, _ = take(queued("DELETE FROM events"), database, alive=lambda: False)

    assert ended.status == "cancelled" and not kept_in.exists()
