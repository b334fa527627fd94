"""How far a long statement is, as others can see it while it runs."""

import re
from pathlib import Path

import psycopg
import pytest

from environments.schema.run.progress import Progress
from environments.schema.run.runner import run
from tests.environments.schema.history.histories import repository, source
from tests.environments.schema.run.test_runner import FIRST, asked, tree

pytestmark = pytest.mark.slow

SLOW = (
    "create function slow(int) returns int language plpgsql immutable as"
    " 'begin perform pg_sleep(0.02); return $1; end'"
)
ROWS = ("create table rows_ as select n, 0 as m from generate_series(1, 400) n", "analyze rows_")


def seen(tmp_path, database, body: str) -> list[Progress]:
    """What was told while `body` ran over a table of 400 rows."""
    with psycopg.connect(database, autocommit=True) as opened:
        for statement in (SLOW, *ROWS):
            opened.execute(statement)
    script = source("aaaa00000002", "aaaa00000001", body=body)
    mirror = repository(tmp_path / "git", tree(FIRST, script))
    told: list[Progress] = []
    outcome = run(
        mirror,
        asked(mirror, database, on_progress=told.append),
        on_lines=lambda lines: None,
        alive=lambda: True,
    )
    assert outcome.status == "succeeded", outcome
    return told


@pytest.fixture(autouse=True)
def often(monkeypatch):
    monkeypatch.setattr("environments.schema.run.progress.EVERY_S", 0.1)


def test_postgresqls_own_counters_are_told(tmp_path, database):
    told = seen(tmp_path, database, 'op.execute("create index on rows_ (slow(n))")')

    best = max(told, key=lambda one: one.done)
    assert best.revision == "aaaa00000002" and best.sql.startswith("create index on rows_")
    assert best.phase.startswith("building index") and best.of >= best.done > 0
    assert max(one.seconds for one in told) > 1
    assert best.table == "rows_" and best.rows == 400


def test_batches_are_counted_by_what_they_committed(tmp_path, database):
    body = (
        "\n    with op.get_context().autocommit_block():"
        "\n        for first in range(0, 400, 50):"
        "\n            op.execute(f'update rows_ set m = slow(n) where n > {first} and n <="
        " {first} + 50')"
    )
    told = seen(tmp_path, database, body)

    # A look may also meet what begins or ends a batch, which is about no table.
    updates = [progress for progress in told if progress.sql.startswith("update")]
    assert {progress.table for progress in updates} == {"rows_"} and updates[-1].rows == 400
    assert 50 <= updates[-1].changed <= 400 and updates[-1].seconds < 5


def test_the_batches_that_the_rules_teach_commit_each_and_go_on_after_an_interruption(
    tmp_path, database
):
    document = (Path(__file__).resolve().parents[4] / "docs" / "migration-rules.md").read_text()
    recipe = re.search(r"## Long changes of rows.*?```python\n(.*?)```", document, re.S)[1]
    head, body = recipe.split("def upgrade() -> None:\n")
    with psycopg.connect(database, autocommit=True) as opened:
        opened.execute(
            "create table events as select n as id, null::text as kind"
            " from generate_series(1, 25000) n; create sequence written"
        )
        opened.execute(  # the third batch fails; a sequence counts also what is rolled back
            "create function fails() returns trigger language plpgsql as $$ begin"
            " if nextval('written') = 20500 then raise 'interrupted'; end if; return new;"
            " end $$; create trigger t before update on events"
            " for each row execute function fails()"
        )
    script = source("aaaa00000002", "aaaa00000001", body=body.strip()).replace(
        "def upgrade", f"{head}\n\ndef upgrade", 1
    )
    mirror, lines = repository(tmp_path / "git", tree(FIRST, script)), list[str]()

    def once() -> tuple[str, int]:
        outcome = run(mirror, asked(mirror, database), on_lines=lines.extend, alive=lambda: True)
        with psycopg.connect(database) as opened:
            (left,) = opened.execute("select count(*) from events where kind is null").fetchone()
        return outcome.status, left

    assert once() == ("failed", 5_000), "what was committed stays"
    assert once() == ("succeeded", 0)
    assert [line for line in lines if line.endswith("0 rows")] == ["10000 rows"] * 2 + ["5000 rows"]


def test_a_wait_for_a_lock_says_who_holds_it(tmp_path, database):
    with psycopg.connect(database, autocommit=True) as opened:
        opened.execute("create table held (id int)")
    with psycopg.connect(database, application_name="reporting") as other:
        other.execute("select * from held")
        told: list[Progress] = []
        body = 'op.execute("alter table held add column n int")'
        script = source("aaaa00000002", "aaaa00000001", body=body)
        mirror = repository(tmp_path / "git", tree(FIRST, script))
        run(
            mirror,
            asked(mirror, database, on_progress=told.append, lock_timeout_ms=3000),
            on_lines=lambda lines: None,
            alive=lambda: True,
        )

    waiting = next(one for one in told if one.waits)
    assert "(reporting, idle in transaction for" in waiting.waits and waiting.table == "held"
