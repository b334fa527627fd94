"""One small revision per rule: what is said about it, and that harmless ones are left alone."""

import re
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from postgast import pg_query_pb2

from environments.schema.downgrade.compatibility import (
    DOWNGRADE_FIRST,
    FORWARD,
    PENDING,
    SAFE,
    Half,
    Services,
    assess_rollback,
)
from environments.schema.history.reader import read
from environments.schema.plan import squawk
from environments.schema.plan.render import Rendered, Statement, Step, make_plan
from environments.schema.plan.risk import Risk, assess, tables_in
from environments.schema.plan.rules import RULES
from environments.schema.plan.squawk import SQUAWK, RiskError
from environments.schema.plan.table_stats import Table, Target, many, read_target
from environments.schema.sql import kinds
from environments.schema.sql.functions import STABLE
from environments.schema.sql.kinds import INTERNAL, KINDS
from environments.schema.sql.parser import parse
from environments.schema.sql.parts import parts
from environments.schema.sql.table import written
from tests.environments.schema.history.histories import repository, source

LARGE = Target(18, {"events": Table(41_000_000, 9_200_000_000)})


def step(*sql: str, back: str = "select 1", transaction: bool = True, **values) -> Step:
    known = {"revision": "r1", "path": "versions/r1.py", "sha256": "f" * 64, "message": "m"}
    upgrade = Rendered(tuple(Statement(one, transaction) for one in sql))
    downgrade = Rendered((Statement(back),)) if back else Rendered()
    return Step(**(known | {"upgrade": upgrade, "downgrade": downgrade} | values))


def told(
    *sql: str, target: Target | None = None, order: str = "migrate_first", **values
) -> dict[str, Risk]:
    return {one.code: one for one in assess([step(*sql, **values)], order=order, target=target)}


@pytest.mark.parametrize(
    ("sql", "code", "severity"),
    [
        ("ALTER TABLE events ADD COLUMN a TEXT NOT NULL", "required-column", "danger"),
        (
            "ALTER TABLE events ADD COLUMN a TIMESTAMPTZ DEFAULT clock_timestamp() NOT NULL",
            "rewrite",
            "caution",
        ),
        ("CREATE UNIQUE INDEX i ON events (a)", "blocking-index", "caution"),
        ("CREATE INDEX CONCURRENTLY i ON events (a)", "concurrent-in-transaction", "danger"),
        (
            "ALTER TABLE events ALTER COLUMN a TYPE INTEGER USING a::integer",
            "column-type",
            "caution",
        ),
        ("ALTER TABLE events RENAME COLUMN a TO z", "rename", "danger"),
        ("ALTER TABLE events RENAME TO happenings", "rename", "danger"),
        ("ALTER TYPE mood RENAME VALUE 'a' TO 'b'", "rename", "danger"),
        ("ALTER TABLE events ALTER COLUMN a SET NOT NULL", "set-not-null", "caution"),
        (
            "ALTER TABLE events ADD CONSTRAINT f FOREIGN KEY(a) REFERENCES b (id)",
            "foreign-key",
            "caution",
        ),
        ("ALTER TABLE events ADD CONSTRAINT c CHECK (a > 1)", "checked-constraint", "caution"),
        ("ALTER TABLE events ADD CONSTRAINT u UNIQUE (a)", "unique-constraint", "caution"),
        ("ALTER TABLE events DROP COLUMN a", "drop-column", "danger"),
        ("DROP TABLE IF EXISTS events", "drop-table", "danger"),
        ("DROP MATERIALIZED VIEW v", "drop-other", "caution"),
        ("TRUNCATE TABLE events", "truncate", "danger"),
        ("LOCK TABLE events IN EXCLUSIVE MODE", "long-lock", "caution"),
        ("UPDATE events SET a = 1", "data-change", "caution"),
        ("WITH old AS (SELECT 1) DELETE FROM events USING old", "data-loss", "caution"),
        ("DO $$ begin delete from events; end $$", "opaque", "caution"),
    ],
)
def test_it_names_the_risk_of_a_statement(sql, code, severity):
    risks = told("/* why */ " + sql)

    assert risks[code].severity == severity
    assert risks[code].sql == "/* why */ " + sql and risks[code].sentence.endswith(".")
    assert {one.code for one in risks.values() if one.asks} <= {code, "data-change"}


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE events ADD COLUMN a TEXT",
        "ALTER TABLE events ADD COLUMN a TEXT DEFAULT 'drop table x' NOT NULL",
        "ALTER TABLE events ADD CONSTRAINT f FOREIGN KEY(a) REFERENCES b (id) NOT VALID",
        "ALTER TABLE events VALIDATE CONSTRAINT f",
        "ALTER TABLE events ALTER COLUMN a DROP NOT NULL",
        "COMMENT ON TABLE events IS 'update events set a = 1'",
        "INSERT INTO kinds (name) VALUES ('x')",
        "ALTER INDEX i RENAME TO j",
    ],
)
def test_a_harmless_statement_asks_nobody(sql):
    assert not any(one.asks for one in told(sql).values())


@pytest.mark.parametrize(
    ("sql", "codes"),
    [
        ("ALTER TABLE events ENABLE ROW LEVEL SECURITY", {"row-security"}),
        (
            "ALTER TABLE events ALTER a DROP DEFAULT, ALTER b SET DEFAULT 1",
            {"drop-default", "change-default"},
        ),
        ("ALTER VIEW open_events SET SCHEMA archive", {"moved"}),
        ("REVOKE ALL ON events FROM app", {"rights"}),
        (
            "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'select 1'",
            {"changed-object"},
        ),
        ("ALTER TABLE events DETACH PARTITION old", {"detach-partition"}),
        ("REFRESH MATERIALIZED VIEW daily", {"refresh"}),
        ("ALTER TABLE events SET UNLOGGED", {"unlogged", "rewrite"}),
        ("ALTER TYPE mood ADD VALUE 'x'", {"enum-value"}),
        ("SELECT setval('events_id_seq', 1)", {"sequence"}),
        ("SELECT 1; COMMIT; DROP TABLE events", {"transaction-control", "drop-table"}),
        ("DROP TYPE mood CASCADE", {"drop-other", "cascade"}),
        ("VACUUM events", {"not-in-transaction"}),
        ("EXPLAIN ANALYZE DELETE FROM events", {"data-change", "data-loss"}),
        ("WITH x AS (INSERT INTO a SELECT 1 RETURNING 1) SELECT * FROM x", {"data-change"}),
        ("INSERT INTO kinds VALUES (make_kind())", {"calls"}),
        ("SET search_path = archive", {"session"}),
        ("DROP TABLE a, b", {"drop-table"}),
        ("COPY (DELETE FROM a RETURNING *) TO STDOUT", {"data-change", "data-loss"}),
        ("CREATE TABLE z AS EXECUTE prepared", {"calls"}),
        ("CREATE SCHEMA x CREATE TRIGGER t BEFORE INSERT ON a EXECUTE FUNCTION f()", {"trigger"}),
        ("CREATE UNLOGGED TABLE z (id INT)", {"unlogged"}),
        ("SET standard_conforming_strings = off", {"session"}),
        ("SET standard_conforming_strings = on", set()),
        ("ALTER TABLE a RENAME CONSTRAINT b TO c", {"rename-key"}),
        ("ALTER TABLE a ADD COLUMN b int CHECK (b > 0)", set()),
        ("ALTER TABLE a ADD COLUMN b int CHECK (b > c)", {"checked-constraint", "narrowed"}),
        (
            "ALTER TABLE a ADD COLUMN b int CHECK (b IS NOT NULL)",
            {"checked-constraint", "narrowed"},
        ),
    ],
)
def test_every_statement_of_a_string_is_seen(sql, codes):
    assert told(sql).keys() == codes


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE events SET SOMETHING_NEW",
        "BACKUP everything",
        "select " + " || ".join(["'a'"] * 500),
        "select " + "1+" * 60_000 + "1",
        ", ".join(["INSERT INTO a VALUES (f(1))", *["(f(1))"] * 9_000]),
    ],
)
def test_what_nobody_knows_asks_and_is_not_safe_to_roll_back(sql):
    risks = told(sql)

    assert risks["unknown"].asks and risks["unknown"].breaks_old
    assert verdict(sql) != SAFE


def test_a_statement_of_a_kind_that_is_not_described_asks(monkeypatch):
    monkeypatch.setattr(
        kinds, "KINDS", {name: kind for name, kind in KINDS.items() if name != "CommentStmt"}
    )

    assert told("COMMENT ON TABLE a IS 'b'")["unknown"].asks


def test_many_rows_of_plain_values_are_one_insert():
    assert not told(
        ", ".join(["INSERT INTO kinds VALUES (1, 'a', NULL)", *["(1, 'a', NULL)"] * 9_000])
    )


@pytest.mark.parametrize(
    ("sql", "back", "codes"),
    [
        ("DROP INDEX i", "select 1", {"blocking-index-drop", "drop-key"}),
        (
            "DROP INDEX i",
            "CREATE UNIQUE INDEX i ON events (a)",
            {"blocking-index-drop", "drop-key"},
        ),
        ("DROP INDEX i", "CREATE INDEX i ON events (a)", {"blocking-index-drop"}),
        ("ALTER TABLE events DROP CONSTRAINT c", "select 1", {"drop-key"}),
        (
            "ALTER TABLE events DROP CONSTRAINT c",
            "ALTER TABLE events ADD CONSTRAINT c FOREIGN KEY (a) REFERENCES b (id)",
            {"loosened"},
        ),
    ],
)
def test_the_downgrade_tells_whether_a_dropped_key_was_unique(sql, back, codes):
    assert told(sql, back=back).keys() == codes


def test_a_rule_for_a_new_column_stops_no_code_that_runs_now():
    key = "ALTER TABLE events ADD CONSTRAINT f FOREIGN KEY (b) REFERENCES kinds (id)"

    assert verdict("ALTER TABLE events ADD COLUMN b INT", key) == SAFE
    assert verdict(key) != SAFE


@pytest.mark.parametrize(
    ("check", "safe"),
    [
        ("b > 0", True),
        ("length(b) < 9", True),
        ("b > 0 AND a > 0", False),
        ("b IS NOT NULL", False),
        ("coalesce(b, 0) > 0", False),
        ("num_nonnulls(b) = 1", False),
        ("b IS DISTINCT FROM 1", False),
        ("fits(b)", False),
    ],
)
def test_a_check_of_a_new_column_stops_code_that_does_not_write_it_where_it_refuses_null(
    check, safe
):
    added = "ALTER TABLE events ADD COLUMN b INT"
    checked = f"ALTER TABLE events ADD CONSTRAINT c CHECK ({check}) NOT VALID"

    assert (verdict(added, checked) == SAFE) == safe


@pytest.mark.parametrize(
    "statements",
    [
        ("ALTER TABLE events RENAME TO old", "DROP TABLE old"),
        ("ALTER TABLE events SET SCHEMA archive", "DROP TABLE archive.events"),
        ("CREATE TEMP TABLE events (a INT)", "DROP TABLE events", "DROP TABLE events"),
        (
            "SET search_path = x; CREATE TABLE events (a INT); RESET search_path",
            "DROP TABLE events",
        ),
    ],
)
def test_a_table_that_was_there_is_followed_under_its_other_names(statements):
    risks = told(*statements)

    assert risks["drop-table"].loses_data and risks["drop-table"].table == "events"
    assert tables_in([step(*statements)]) == {"events"}
    assert verdict(*statements) == FORWARD, "no downgrade brings its rows back"


def test_a_table_that_takes_the_place_of_another_is_new():
    swap = (
        "CREATE TABLE fresh (id INT)",
        "DROP TABLE events",
        "ALTER TABLE fresh RENAME TO events",
        "ALTER TABLE events ADD COLUMN a INT NOT NULL",
    )

    assert told(*swap).keys() == {"drop-table"}


def test_a_concurrent_index_in_its_own_block_asks_nobody():
    assert told("CREATE INDEX CONCURRENTLY i ON events (a)", transaction=False) == {}


def test_tables_that_the_plan_makes_may_be_altered_freely():
    made = step(
        "CREATE TABLE fresh (id INTEGER)",
        "CREATE INDEX i ON public.fresh (id)",
        "INSERT INTO fresh VALUES (1)",
    )
    later = step(
        'ALTER TABLE "fresh" ADD COLUMN a TEXT NOT NULL', "DROP TABLE fresh", revision="r2"
    )

    assert assess([made, later], order="migrate_first") == ()
    assert tables_in([made, later]) == frozenset()


def test_findings_belong_to_their_statement_and_their_revision():
    first = step(
        "select 1",
        "ALTER TABLE events\n  ADD COLUMN a TEXT,\n  DROP COLUMN b -- gone",
        revision="r1",
    )
    second = step("UPDATE Events SET a = 1", revision="r2")

    risks = assess([first, second], order="migrate_first")

    assert [(one.revision, one.code, one.sql[:8]) for one in risks] == [
        ("r1", "drop-column", "ALTER TA"),
        ("r2", "data-change", "UPDATE E"),
    ]
    assert tables_in([first, second]) == {"events"}


def test_the_order_of_deploying_decides_what_is_said_of_drops_and_additions():
    drop, add = "ALTER TABLE events DROP COLUMN a", "ALTER TABLE events ADD COLUMN b TEXT"

    first = told(drop, add, order="deploy_first")
    last = told(drop, add, order="migrate_first")

    assert (first["drop-column"].severity, last["drop-column"].severity) == ("caution", "danger")
    assert (
        first["expand"].severity == "info"
        and "(events)" in first["expand"].sentence
        and "expand" not in last
    )


def test_data_and_schema_in_one_revision_are_mixed():
    risks = told("ALTER TABLE events ADD COLUMN b TEXT", "UPDATE events SET b = a", target=LARGE)
    alone = told("UPDATE events SET b = a", target=LARGE)

    assert risks["data-mixed"].severity == "caution" and "data-mixed" not in alone


def test_the_size_of_the_table_is_named_and_a_small_one_is_no_reason_to_ask():
    sql = "CREATE INDEX i ON events (a)"

    large = told(sql, target=LARGE)["blocking-index"]
    small = told(sql, target=Target(18, {"events": Table(None, 90_000)}))["blocking-index"]
    drop = told(
        "ALTER TABLE events DROP COLUMN a", target=Target(18, {"events": Table(3, 90_000)})
    )["drop-column"]

    assert "events (41 M rows, 9.2 GB)" in large.sentence and large.severity == "caution"
    assert "events (90 kB)" in small.sentence and small.severity == "info"
    assert drop.severity == "danger", "what is lost is lost, however small"


@pytest.mark.parametrize(
    "downgrade",
    [
        Rendered(),
        Rendered((), "missing", "The function is not there."),
        Rendered((), "raised", "NotImplementedError."),
    ],
)
def test_a_missing_downgrade_matters_where_earlier_code_does_not_fit(downgrade):
    fits = told("ALTER TABLE events ADD COLUMN a TEXT", downgrade=downgrade)
    breaks = told("ALTER TABLE events RENAME COLUMN a TO b", downgrade=downgrade)

    assert fits["no-downgrade"].severity == "info" and "no-way-back" not in fits
    assert breaks["no-way-back"].severity == "caution" and breaks["no-way-back"].sql == ""


def test_a_downgrade_that_needs_the_database_is_only_unknown():
    risks = told(
        "ALTER TABLE events RENAME COLUMN a TO b",
        downgrade=Rendered((), "connection", "It reads an answer."),
    )

    assert risks["way-back-unknown"].severity == "info"


def test_a_merge_needs_no_downgrade_and_an_unknown_upgrade_is_a_risk():
    merge = step(back="", is_merge=True)
    unknown = told(upgrade=Rendered((), "connection", "Line 3: it reads an answer."))

    assert assess([merge]) == ()
    assert (
        unknown["unrendered"].severity == "caution" and "Line 3" in unknown["unrendered"].sentence
    )


def test_without_squawk_nothing_is_called_harmless(monkeypatch, tmp_path):
    monkeypatch.setattr(squawk, "SQUAWK_BINARY", tmp_path / "none")

    with pytest.raises(RiskError, match="Reinstall it"):
        assess([step("select 1")])


def test_the_target_tells_size_and_open_transactions(database):
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("create table events as select generate_series(1, 5000) id")
        connection.execute("analyze events")
        with psycopg.connect(database) as other:
            other.execute("select 1")
            target = read_target(database, {"events", "nowhere", "events; drop table events"})

    assert list(target.tables) == ["events"] and target.tables["events"].rows == 5000
    assert target.tables["events"].is_small and target.server >= 14
    assert target.longest_s == 0, "a transaction of a moment is no long one"
    assert [many(count) for count in (950, 41_200, 41_000_000)] == ["950", "41.2 k", "41 M"]


def verdict(*sql: str, **values) -> str:
    steps = [step(*sql, **values)]
    return assess_rollback(steps, assess(steps)).verdict


def test_the_way_back_is_safe_when_nothing_the_old_code_uses_went_away():
    assert assess_rollback([], ()).verdict == SAFE
    assert verdict("ALTER TABLE events ADD COLUMN a TEXT") == SAFE
    assert verdict("ALTER TABLE events ADD COLUMN a TEXT", back="") == SAFE


def test_the_way_back_goes_through_a_downgrade_when_that_restores_what_old_code_needs():
    steps = [step("ALTER TABLE events RENAME COLUMN a TO b"), step("select 2", revision="r2")]

    back = assess_rollback(steps, assess(steps))

    assert back.verdict == DOWNGRADE_FIRST
    assert "Downgrade r2, then r1" in back.steps[0]


@pytest.mark.parametrize(
    ("sql", "changes"),
    [
        ("ALTER TABLE events DROP COLUMN a", {}),
        ("ALTER TABLE events RENAME COLUMN a TO b", {"back": ""}),
        (
            "ALTER TABLE events RENAME COLUMN a TO b",
            {"downgrade": Rendered((), "raised", "It raises.")},
        ),
        ("select 1", {"upgrade": Rendered((), "time", "It never ended."), "back": ""}),
    ],
)
def test_the_way_back_is_forward_when_a_downgrade_cannot_restore_it(sql, changes):
    assert verdict(sql, **changes) == FORWARD


def test_an_image_that_runs_alembic_at_its_start_needs_the_downgrade_first():
    steps = [step("ALTER TABLE events ADD COLUMN a TEXT")]
    starting = Services(back=("backend",), starting=("backend: its start command runs Alembic.",))
    known = Services(back=("backend",), starting_known=True)

    back = assess_rollback(steps, assess(steps), services=starting)
    quiet = assess_rollback(steps, assess(steps), services=known)

    assert back.verdict == DOWNGRADE_FIRST and "Can't locate revision" in back.reasons[0]
    assert assess_rollback([step("select 1", back="")], (), services=starting).verdict == FORWARD
    assert assess_rollback([], (), services=starting).verdict == SAFE, (
        "with nothing in the database it finds its revision"
    )
    assert quiet.verdict == SAFE and len(quiet.steps) == 1


def test_what_cannot_be_restored_or_was_never_planned_is_not_called_safe():
    assert (
        assess_rollback([], (), services=Services(missing=("backend: its image is gone.",))).verdict
        == FORWARD
    )
    assert assess_rollback([], (), unplanned=["r9"]).verdict == FORWARD


def test_only_what_serves_the_release_goes_back_and_what_serves_as_before_stays():
    failed = (
        "frontend",
        "frontend: The deployment of bbbbbbb came to nothing; aaaaaaa serves, as before.",
    )
    mixed = assess_rollback([], (), services=Services(back=("backend", "worker"), stay=(failed,)))
    none = assess_rollback(
        [], (), services=Services(stay=(failed, ("backend", "backend: as before.")))
    )

    assert mixed.verdict == none.verdict == SAFE
    assert mixed.steps[:2] == (
        "Roll back backend and worker to their earlier deployments.",
        "frontend can stay as it is.",
    )
    assert failed[1] in mixed.reasons
    assert none.steps == ("frontend and backend can stay as they are.",)


def test_nothing_is_called_safe_while_a_migration_runs_or_a_deployment_is_under_way():
    steps = [step("ALTER TABLE events ADD COLUMN a TEXT")]

    back = assess_rollback(
        steps, assess(steps), services=Services(moving=("A migration runs in production.",))
    )

    assert back.verdict == PENDING and back.reasons == ("A migration runs in production.",)


def test_of_half_a_migration_exactly_that_half_is_told():
    steps = [step("ALTER TABLE events ADD COLUMN a TEXT")]
    index = Half(
        "r2",
        "r2 failed half-way: an invalid index of it stays in the database.",
        ("DROP INDEX i;",),
    )
    dropped = Half(
        "r2", "r2 failed half-way: 1 statement of it stays in the database.", (), breaks=True
    )

    harmless = assess_rollback(steps, assess(steps), half=[index])
    breaking = assess_rollback(steps, assess(steps), half=[dropped])
    nothing = assess_rollback([], (), half=[index])

    assert harmless.verdict == SAFE and index.sentence in harmless.reasons
    assert harmless.steps[0] == "In the database: DROP INDEX i;" and "stays at r1" in " ".join(
        harmless.steps
    )
    assert breaking.verdict == DOWNGRADE_FIRST and dropped.sentence in breaking.reasons
    gone = Services(missing=("backend: its image is gone.",))
    for told_ in (
        assess_rollback(steps, assess(steps), half=[index], services=gone),
        assess_rollback([], (), unplanned=["r9"], half=[index]),
        assess_rollback(steps, assess(steps), half=[index, dropped]),
    ):
        assert index.sentence in told_.reasons and told_.steps[0] == harmless.steps[0]
    assert nothing.reasons[:2] == ("No revision of this release is applied.", index.sentence)


def test_risks_are_the_same_for_the_same_steps():
    steps = [step("ALTER TABLE events DROP COLUMN a")]

    assert assess(steps) == assess([replace(steps[0])])


def sections() -> dict[str, str]:
    """The document's section on each rule, by the rule's code."""
    text = (Path(__file__).resolve().parents[4] / "docs" / "migration-rules.md").read_text()
    return dict(re.findall(r"^### `([a-z-]+)`\n\n(.*?)(?=^##)", text, re.M | re.S))


def test_every_rule_is_in_the_document_and_the_document_knows_no_other():
    found = sections()

    assert found.keys() == RULES.keys()
    for code, message in found.items():
        first = message.split("\n")[0]
        assert f"*{RULES[code].severity}{', time' if RULES[code].about_time else ''}*" in first, (
            code
        )
        assert {one for one, ours in SQUAWK.items() if ours == code} == set(
            re.findall(r"`([a-z-]+)`", first)
        ), code
        assert "# not\n" in message and "# but\n" in message, code


def test_the_table_in_the_document_is_the_one_by_which_is_judged():
    document = (Path(__file__).resolve().parents[4] / "docs" / "migration-rules.md").read_text()

    assert document == written(document), "run python -m environments.schema.sql.table"


@pytest.mark.parametrize("name", KINDS)
def test_each_example_of_the_table_is_of_its_kind(name):
    assert name in {part.kind for one in parse(KINDS[name].example) for part in parts(one)}
    assert set(KINDS[name].codes) <= RULES.keys()


def test_the_table_has_every_kind_of_statement_that_the_grammar_knows():
    nodes = {field.message_type.name for field in pg_query_pb2.Node.DESCRIPTOR.fields}
    alters = set(pg_query_pb2.AlterTableType.keys()) - {"ALTER_TABLE_TYPE_UNDEFINED"}
    described = {part.split(" ")[0] for name in KINDS for part in name.split(".")}

    statements = {name for name in nodes if name.endswith("Stmt")}

    assert len(statements) > 100 and len(alters) > 60
    assert (statements | alters) - INTERNAL - described == set()


def test_the_functions_called_harmless_are_postgresqls_own_and_change_nothing(database):
    with psycopg.connect(database) as connection:
        rows = connection.execute(
            "select proname from pg_proc where pronamespace = 'pg_catalog'::regnamespace and"
            " provolatile <> 'v'"
        ).fetchall()

    assert STABLE - {name for (name,) in rows} == set()


def test_the_bad_examples_of_the_document_are_what_the_rules_are_about(tmp_path):
    bad = {
        code: re.search(r"# not\n(.*?)\n# but", message, re.S)[1]
        for code, message in sections().items()
    }
    whole = {
        code: body
        for code, body in bad.items()
        if "…" not in body and "def " not in body and code != "unreadable"
    }
    ids = {code: f"r{number:03}" for number, code in enumerate(whole)}
    files = {
        f"versions/{ids[code]}.py": source(ids[code], body=body.replace("\n", "\n    "))
        for code, body in whole.items()
    }
    mirror = repository(tmp_path / "git", {"env.py": ""} | files)
    history = read(mirror, "main", ".")
    made = make_plan(mirror, mirror.commit("main"), history, tuple(history.revisions.values()))

    found: dict[str, set[str]] = {}
    for one in assess(made.steps, target=LARGE):
        found.setdefault(one.revision, set()).add(one.code)

    assert (
        len(whole) > 15
        and {code for code in whole if code not in found.get(ids[code], ())} == set()
    )
