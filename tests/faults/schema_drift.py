"""Hold generated schemas against themselves after round trips, and against themselves changed by
hand.

    python -m tests.faults.schema_drift 200        # or in pieces: how many, and the first
    python -m tests.faults.schema_drift 50 150

Each schema has every kind of object that a database owner can make, with random expressions. It is
made once by its statements, as migrations do, and once more as a production that was restored from
a dump nought to two times. Fails when such a pair differs, or when one of the changes made by hand
is not found.
"""

import random
import re
import sys
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import psycopg

from environments.schema.rehearsal.dump import Difference, differences, drift, dump, load
from environments.schema.rehearsal.scratch_server import Scratch, scratch_server

TYPES = [
    "text",
    "varchar(40)",
    "varchar",
    "char(3)",
    "int",
    "bigint",
    "smallint",
    "numeric(10,2)",
    "real",
    "boolean",
    "date",
    "timestamptz",
    "timestamp",
    "time",
    "interval",
    "uuid",
    "jsonb",
    "bytea",
    "text[]",
    "int4range",
    "inet",
    "tsvector",
    "point",
    "bit(4)",
    "mood",
    "positive",
    "money",
    "xml",
]
DEFAULTS = {
    "text": ["'a'", "'it''s'", "lower('A')", "current_user", "NULL"],
    "varchar(40)": ["'x'", "upper('x')"],
    "int": ["0", "-1", "1 + 2", "nextval('counter')", "length('abc')"],
    "boolean": ["true", "(not true)"],
    "timestamptz": ["now()", "current_timestamp", "'2020-01-01'", "now() - interval '1 day'"],
    "timestamp": ["localtimestamp", "timezone('utc', now())"],
    "jsonb": ["'{}'", "'[]'::jsonb"],
    "numeric(10,2)": ["0", "1.5", "-0.01"],
    "uuid": ["gen_random_uuid()"],
    "text[]": ["'{}'", "ARRAY['a','b']"],
    "mood": ["'ok'"],
    "positive": ["1"],
    "bigint": ["0", "9999999999"],
    "interval": ["'1 day'"],
    "date": ["current_date", "'2020-01-01'"],
    "varchar": ["'v'"],
    "bytea": [r"'\xde'"],
}
CHECKS = [
    "kind IN ('a', 'b', 'c')",
    "kind NOT IN ('x')",
    "size BETWEEN 1 AND 9",
    "size > 0 AND size < 100",
    "code ~ '^[a-z]+$'",
    "code LIKE 'a%' OR code ILIKE '%b'",
    "kind <> ALL (ARRAY['q', 'r'])",
    "size IS NOT NULL",
    "(kind = 'a') = (size = 1)",
    "length(code) < 10",
    "coalesce(size, 0) >= 0",
    "kind IN ('one')",
    "code IN ('x', 'y') AND size IN (1, 2, 3)",
    "CASE WHEN size > 5 THEN kind = 'a' ELSE true END",
    "kind::text = ANY (ARRAY['a'::varchar, 'b'::varchar]::text[])",
    "at > '2000-01-01'",
    "NOT (size = 7)",
    "lower(code) = code",
    "extract(year from at) > 1999",
    "size % 2 = 0",
    "price::int <> 3",
]
QUERIES = [
    "SELECT * FROM {t}",
    "SELECT id, count(*) FROM {t} GROUP BY id HAVING count(*) > 1",
    "SELECT a.*, b.code AS other FROM {t} a LEFT JOIN {t} b USING (id)",
    "WITH x AS (SELECT id FROM {t} WHERE kind IN ('a', 'b')) SELECT * FROM x ORDER BY 1",
    "SELECT id, row_number() OVER (PARTITION BY kind ORDER BY at DESC) FROM {t}",
    (
        "SELECT id FROM {t} WHERE EXISTS (SELECT 1 FROM {t} i WHERE i.size = {t}.size) UNION ALL"
        " SELECT 1"
    ),
    "SELECT DISTINCT ON (kind) id, coalesce(code, 'none') AS c, size::text || '!' AS s FROM {t}",
    "SELECT t.id, l.n FROM {t} t CROSS JOIN LATERAL (SELECT t.size + 1 AS n) l",
    "SELECT CASE kind WHEN 'a' THEN 1 ELSE 2 END AS x, at AT TIME ZONE 'utc' AS y FROM {t}",
]


def statements(rng: random.Random) -> list[str]:
    """The statements of one schema, with every kind of object in it."""
    made = [
        "CREATE SCHEMA side",
        "CREATE SEQUENCE counter",
        "CREATE SEQUENCE side.odd INCREMENT 2 MAXVALUE 999 CYCLE",
        "CREATE TYPE mood AS ENUM ('ok', 'bad')",
        "ALTER TYPE mood ADD VALUE 'odd' BEFORE 'bad'",
        "CREATE DOMAIN positive AS int DEFAULT 1 CHECK (value > 0 AND value NOT IN (13, 666))",
        (
            "CREATE DOMAIN side.label AS varchar(20) NOT NULL CHECK (value IN ('a', 'b') OR value ~"
            " '^c')"
        ),
        "CREATE TYPE pair AS (a int, b text)",
        "CREATE TYPE span AS RANGE (subtype = float8)",
        "CREATE COLLATION plain (provider = libc, locale = 'C')",
        "CREATE EXTENSION IF NOT EXISTS postgres_fdw",
        (
            "CREATE FUNCTION add_up(a int, b int DEFAULT 2) RETURNS int LANGUAGE sql IMMUTABLE"
            " RETURN a + b"
        ),
        (
            "CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.at := now();"
            " RETURN NEW; END $$"
        ),
        "CREATE PROCEDURE tidy(n int) LANGUAGE plpgsql AS $$ BEGIN PERFORM n; END $$",
        "CREATE FUNCTION seen() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$",
        "CREATE AGGREGATE total (int) (sfunc = int4pl, stype = int, initcond = '0')",
        "CREATE OPERATOR === (leftarg = int, rightarg = int, function = int4eq)",
        "CREATE CAST (mood AS int) WITH INOUT",
        "CREATE TEXT SEARCH CONFIGURATION plain (COPY = english)",
        "CREATE TEXT SEARCH DICTIONARY stops (TEMPLATE = simple)",
        "CREATE FOREIGN DATA WRAPPER nowhere",
        "CREATE SERVER far FOREIGN DATA WRAPPER nowhere OPTIONS (host 'h')",
        "CREATE FOREIGN TABLE distant (a int, b text) SERVER far",
        "CREATE OPERATOR FAMILY side.fam USING btree",
        "CREATE ACCESS METHOD heap2 TYPE TABLE HANDLER heap_tableam_handler",
    ]
    for number in range(rng.randint(1, 3)):
        made += table(rng, f"t{number}")
    made += partitions(rng)
    made += [
        "CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION seen()",
        "ALTER EVENT TRIGGER watch DISABLE",
        "CREATE TABLE parent (a int NOT NULL CHECK (a > 0), b text)",
        "CREATE TABLE child (c int DEFAULT add_up(1)) INHERITS (parent)",
        "ALTER TABLE parent RENAME COLUMN a TO renamed",
        "CREATE UNLOGGED TABLE quick (a int)",
        "CREATE PUBLICATION news FOR TABLE parent",
        "CREATE TABLE side.t0 (id side.label, p pair, s span)",
    ]
    return made


def table(rng: random.Random, name: str) -> list[str]:
    """A table with columns of many types, keys, checks, indexes, and what hangs on it."""
    columns = [
        "id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY",
        "kind varchar(10) NOT NULL",
        "size int",
        'code text COLLATE "C"',
        "at timestamptz DEFAULT now()",
        "price numeric(10,2)",
    ]
    for number, of in enumerate(rng.sample(TYPES, rng.randint(6, 14))):
        default = (
            f" DEFAULT {rng.choice(DEFAULTS[of])}" if of in DEFAULTS and rng.random() < 0.8 else ""
        )
        columns.append(f'"c {number}" {of}{default}{rng.choice(["", "", " NOT NULL"])}')
    made = [f"CREATE TABLE {name} ({', '.join(columns)})"]
    made += [
        f"ALTER TABLE {name} ADD CONSTRAINT {name}_c{number} CHECK ({check})"
        for number, check in enumerate(rng.sample(CHECKS, rng.randint(3, 8)))
    ]
    made += [
        f"ALTER TABLE {name} ADD COLUMN twice int GENERATED ALWAYS AS (size * 2) STORED",
        (
            f"ALTER TABLE {name} ADD COLUMN shown text"
            " GENERATED ALWAYS AS (upper(kind) || '-' || coalesce(code, '')) VIRTUAL"
        ),
        (
            f"ALTER TABLE {name} ADD COLUMN up bigint"
            f" REFERENCES {name} (id) ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED"
        ),
        f"ALTER TABLE {name} ADD CONSTRAINT {name}_u UNIQUE NULLS NOT DISTINCT (kind, size)",
        (
            f"ALTER TABLE {name} ADD CONSTRAINT {name}_x EXCLUDE USING gist (int4range(size, size,"
            " '[]') WITH &&)"
        ),
        (
            f"CREATE INDEX {name}_p ON {name} (lower(code), size DESC NULLS LAST) WHERE kind IN"
            " ('a', 'b')"
        ),
        (
            f'CREATE UNIQUE INDEX {name}_i ON {name} (code COLLATE "C") INCLUDE (size) WITH'
            " (fillfactor = 70)"
        ),
        f"CREATE STATISTICS {name}_s (dependencies) ON kind, size FROM {name}",
        (
            f"CREATE TRIGGER {name}_t BEFORE UPDATE OF size ON {name} FOR EACH ROW"
            " WHEN (NEW.kind IN ('a', 'b')) EXECUTE FUNCTION stamp()"
        ),
        f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY",
        (
            f"CREATE POLICY {name}_pol ON {name} FOR UPDATE USING (kind IN ('a', 'b')) WITH CHECK"
            " (size > 0)"
        ),
        f"CREATE VIEW {name}_v AS {rng.choice(QUERIES).format(t=name)}",
        f"CREATE MATERIALIZED VIEW {name}_m AS {rng.choice(QUERIES).format(t=name)} WITH NO DATA",
        (
            f"CREATE VIEW {name}_w WITH (security_barrier) AS"
            f" SELECT id, kind FROM {name} WHERE kind = 'a' WITH CHECK OPTION"
        ),
        f"CREATE RULE {name}_r AS ON DELETE TO {name} WHERE OLD.kind IN ('a', 'b') DO ALSO NOTHING",
        f"COMMENT ON TABLE {name} IS 'it''s {name}'",
        f"COMMENT ON COLUMN {name}.kind IS 'a kind'",
        f"ALTER TABLE {name} ALTER COLUMN code SET STORAGE EXTERNAL",
        f"ALTER TABLE {name} REPLICA IDENTITY FULL",
        f"ALTER TABLE {name} ALTER COLUMN size SET STATISTICS 77",
        f"ALTER TABLE {name} RENAME COLUMN kind TO sort",
    ]
    return made


def partitions(rng: random.Random) -> list[str]:
    """A table partitioned by list, range or hash, with an index and a key."""
    how, bounds = rng.choice(
        [
            ("LIST (k)", ["IN ('a', 'b')", "IN ('c')"]),
            ("RANGE (n)", ["FROM (1) TO (5)", "FROM (5) TO (MAXVALUE)"]),
            ("HASH (n)", ["WITH (MODULUS 2, REMAINDER 0)", "WITH (MODULUS 2, REMAINDER 1)"]),
            ("LIST (lower(k))", ["IN ('a')", "IN (NULL)"]),
        ]
    )
    made = [
        "CREATE TABLE whole (k varchar(5) CHECK (k IN ('a', 'b', 'c')), n int NOT NULL) PARTITION"
        f" BY {how}"
    ]
    made += [
        f"CREATE TABLE whole_{i} PARTITION OF whole FOR VALUES {one}"
        for i, one in enumerate(bounds)
    ]
    return [
        *made,
        "CREATE INDEX whole_n ON whole (n)",
        "ALTER TABLE whole_0 ADD CONSTRAINT extra CHECK (n IN (1, 2))",
    ]


# pg_dump guards each dump with a word of its own, different each time.
_RESTRICT = re.compile(r"^\\(?:un)?restrict .*$", re.M)
# What somebody changes by hand, and the word that the difference must have.
BY_HAND = [
    ("ALTER TABLE t0 ADD COLUMN extra int", "t0"),
    ("ALTER TABLE t0 DROP COLUMN price CASCADE", "t0"),
    ("ALTER TABLE child ALTER COLUMN c TYPE bigint", "child"),
    ("ALTER TABLE t0 ALTER COLUMN at SET DEFAULT '2001-01-01'", "t0"),
    ("ALTER TABLE t0 ALTER COLUMN at DROP DEFAULT", "t0"),
    ("ALTER TABLE t0 ALTER COLUMN size SET NOT NULL", "t0"),
    ("ALTER TABLE t0 ALTER COLUMN sort DROP NOT NULL", "t0"),
    ("ALTER TABLE t0 ADD CHECK (size <> 5)", "t0"),
    ("ALTER TABLE t0 DROP CONSTRAINT t0_u", "t0"),
    ("CREATE INDEX by_hand ON t0 (at)", "by_hand"),
    ("DROP INDEX t0_p", "t0_p"),
    ("DROP TRIGGER t0_t ON t0", "t0_t"),
    ("ALTER TABLE t0 DISABLE TRIGGER t0_t", "t0_t"),
    ("DROP POLICY t0_pol ON t0", "t0_pol"),
    ("ALTER POLICY t0_pol ON t0 USING (sort IN ('a'))", "t0_pol"),
    ("ALTER TABLE t0 DISABLE ROW LEVEL SECURITY", "t0"),
    ("CREATE TABLE by_hand (a int)", "by_hand"),
    ("DROP TABLE quick", "quick"),
    ("ALTER TABLE quick SET LOGGED", "quick"),
    ("DROP VIEW t0_w", "t0_w"),
    (
        (
            "CREATE OR REPLACE VIEW t0_w WITH (security_barrier) AS SELECT id, sort AS kind FROM t0"
            " WHERE sort = 'b'"
        ),
        "t0_w",
    ),
    ("DROP RULE t0_r ON t0", "t0_r"),
    (
        (
            "CREATE OR REPLACE FUNCTION add_up(a int, b int DEFAULT 3) RETURNS int"
            " LANGUAGE sql IMMUTABLE RETURN a + b"
        ),
        "add_up",
    ),
    ("ALTER FUNCTION stamp() SECURITY DEFINER", "stamp"),
    ("CREATE FUNCTION by_hand() RETURNS int LANGUAGE sql RETURN 1", "by_hand"),
    ("DROP PROCEDURE tidy(int)", "tidy"),
    ("ALTER TYPE mood ADD VALUE 'new'", "mood"),
    ("ALTER TYPE mood RENAME VALUE 'odd' TO 'even'", "mood"),
    ("ALTER DOMAIN positive DROP DEFAULT", "positive"),
    ("ALTER SEQUENCE counter INCREMENT 5", "counter"),
    ("ALTER SEQUENCE side.odd NO CYCLE", "odd"),
    ("ALTER TABLE parent SET SCHEMA side", "parent"),
    ("ALTER TABLE whole DETACH PARTITION whole_1", "whole_1"),
    ("COMMENT ON TABLE t0 IS 'other'", "t0"),
    ("ALTER TABLE child NO INHERIT parent", "child"),
    ("DROP STATISTICS t0_s", "t0_s"),
    ("DROP EXTENSION postgres_fdw", "postgres_fdw"),
    ("CREATE EXTENSION dblink", "dblink"),
    ("DROP CAST (mood AS int)", "mood"),
    ("ALTER EVENT TRIGGER watch ENABLE", "watch"),
    ("ALTER SERVER far OPTIONS (SET host 'elsewhere')", "far"),
    ("DROP AGGREGATE total(int)", "total"),
    ("ALTER TABLE t0 ALTER COLUMN size SET STATISTICS 5", "t0"),
    ("ALTER INDEX t0_i SET (fillfactor = 50)", "t0_i"),
    ("ALTER TABLE t0 RENAME CONSTRAINT t0_x TO t0_y", "t0"),
    ("ALTER TABLE t0 REPLICA IDENTITY DEFAULT", "t0"),
    ("ALTER TYPE pair ADD ATTRIBUTE c int", "pair"),
    ("ALTER TABLE t0 ALTER COLUMN id SET GENERATED ALWAYS", "t0"),
    ("DROP TEXT SEARCH DICTIONARY stops", "stops"),
    ("DROP MATERIALIZED VIEW t0_m", "t0_m"),
]


@dataclass
class Counts:
    """What came of it."""

    schemas: int = 0
    statements: int = 0
    plain: int = 0  # differences that are none, of texts that are compared as they are
    false: list[str] = field(default_factory=list)
    found: Counter = field(default_factory=Counter)
    missed: list[str] = field(default_factory=list)


class Bench:
    """A scratch server with databases that come and go."""

    def __init__(self, scratch: Scratch) -> None:
        self.scratch, self.numbers = scratch, count()
        self.trips: dict[str, str] = {}

    @contextmanager
    def database(self, *made: str):
        """An empty database on which `made` were executed."""
        name = f"drift_{next(self.numbers)}"
        url = self.scratch.create(name)
        try:
            with psycopg.connect(url, autocommit=True) as connection:
                for one in made:
                    connection.execute(one)
            yield url
        finally:
            self.scratch.drop(name)

    def dump(self, url: str) -> str:
        return dump(url, self.scratch.work / "now.sql", lambda: True)

    def trip(self, text: str) -> str:
        """Load and dump `text`; one that was on a trip before comes back as it did then."""
        known = _RESTRICT.sub("", text)
        if known not in self.trips:
            with self.database() as url:
                load(text, url, self.scratch.work / "trip.sql", lambda: True)
                self.trips[known] = self.dump(url)
        return self.trips[known]

    def drift(self, expected: str, real: str) -> tuple[Difference, ...]:
        """As a rehearsal does: the real schema is dumped and loaded before it is compared."""
        return drift(expected, self.trip(real), self.trip)


def examine(bench: Bench, seed: int, counts: Counts, by_hand: int) -> None:
    """One schema: against itself after 0 to 2 restores, and against itself changed by hand so
    many times.
    """
    rng = random.Random(seed)
    made = statements(rng)
    bench.trips.clear()
    with bench.database(*made) as url:
        expected = bench.dump(url)
    real = expected
    for _ in range(seed % 3):
        real = bench.trip(real)
    counts.schemas, counts.statements = counts.schemas + 1, counts.statements + len(made)
    counts.plain += len(differences(expected, bench.trip(real)))
    counts.false += [f"schema {seed}: {one.sentence}" for one in bench.drift(expected, real)]
    for number in range(by_hand):
        change, word = BY_HAND[(seed * by_hand + number) % len(BY_HAND)]
        with bench.database() as url:
            load(real, url, bench.scratch.work / "real.sql", lambda: True)
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(change)
            found = bench.drift(expected, bench.dump(url))
        if any(word in one.name or any(word in line for line in one.lines) for one in found):
            counts.found[change] += 1
        else:
            counts.missed.append(f"schema {seed}: {change}: {[one.sentence for one in found]}")


def run(schemas: int, by_hand: int = 1, first: int = 0) -> Counts:
    """So many schemas on one scratch server."""
    counts = Counts()
    with (
        tempfile.TemporaryDirectory() as directory,
        scratch_server(Path(directory) / "scratch") as scratch,
    ):
        bench = Bench(scratch)
        for seed in range(first, first + schemas):
            examine(bench, seed, counts, by_hand)
    return counts


def main(schemas: str = "200", first: str = "0") -> int:
    began = time.monotonic()
    counts = run(int(schemas), first=int(first))
    print(
        f"{counts.schemas} schemas, {counts.statements} statements,"
        f" {time.monotonic() - began:.0f} s"
    )
    print(f"false differences: {len(counts.false)} (without round trips: {counts.plain})")
    print(
        f"changes by hand: {sum(counts.found.values())} found of {len(counts.found)} kinds,"
        f" {len(counts.missed)} missed"
    )
    for one in (*counts.false, *counts.missed)[:20]:
        print(f"  {one[:300]}")
    return 1 if counts.false or counts.missed or not counts.found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
