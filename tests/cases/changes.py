"""Histories that were rewritten, squashed, adopted or diverged, and projects with packages of
their own version.
"""

from tests.cases.builder import Case, env, revision, table, usual

A, B = table("a1"), table("b2", "a1")
COLUMN = revision(
    "b2", "a1", 'op.add_column("a1", sa.Column("n", sa.Text))', 'op.drop_column("a1", "n")'
)
WIDER = COLUMN.replace("sa.Text", "sa.Text()")
OTHER = COLUMN.replace("sa.Text", "sa.Integer")
SQUASHED = revision(
    "s1",
    None,
    'op.create_table("a1", sa.Column("id", sa.Integer, primary_key=True), sa.Column("n", sa.Text))',
    'op.drop_table("a1")',
)
GONE = {"db/versions/a1.py": None, "db/versions/b2.py": None}
PRUNED = {"db/versions/a1.py": None, "db/versions/b2.py": COLUMN.replace("'a1'", "None", 1)}
FORMATTED = COLUMN.replace('"', "'").replace("'''Change b2'''", '"""Change b2, formatted"""')
DRIVER = (
    'os.environ["DATABASE_URL"] = os.environ["DATABASE_URL"].replace("+psycopg:", "+psycopg2:", 1)'
)
OLD = revision(
    "b2",
    "a1",
    """conn = op.get_bind()
conn.execute("UPDATE a1 SET id = id")
t = sa.table("a1", sa.column("id"))
for row in conn.execute(sa.select([t.c.id])).fetchall():
    conn.execute(t.update().where(t.c.id == row.id).values(id=row.id))
op.add_column("a1", sa.Column("n", sa.Text))""",
    'op.drop_column("a1", "n")',
)
VECTOR = revision(
    "b2",
    "a1",
    'op.execute("CREATE EXTENSION IF NOT EXISTS vector")\n'
    'op.add_column("a1", sa.Column("e", Vector(3)))',
    'op.drop_column("a1", "e")',
    head="from pgvector.sqlalchemy import Vector",
)
GEO = revision(
    "b2",
    "a1",
    'op.execute("CREATE EXTENSION IF NOT EXISTS postgis")\nop.add_column("a1", sa.Column("at",'
    ' geoalchemy2.types.Geometry("POINT", srid=4326, spatial_index=False)))',
    'op.drop_column("a1", "at")',
    head="import geoalchemy2",
)


def changed(name: str, expected: dict[str, str], staging: dict[str, str | None]) -> Case:
    """Return a case in which two shipped revisions are changed."""
    return Case(name, expected, usual(A, COLUMN), staging)


def installed(name: str, text: str, expected: dict[str, str], *requirements: str) -> Case:
    """Return a case whose packages come from the index."""
    head = DRIVER if "psycopg2-binary" in requirements else ""
    layout = usual(A, env_py=env(head=head))
    return Case(
        name,
        expected,
        layout,
        {**layout, "db/versions/b2.py": text},
        command="alembic upgrade head",
        requirements=requirements,
    )


CASES = [
    changed("edited-by-formatter", {"edits": "in form only"}, {"db/versions/b2.py": FORMATTED}),
    changed(
        "edited-same-sql",
        {"edits": "its SQL is the same, up and down"},
        {"db/versions/b2.py": WIDER},
    ),
    changed(
        "edited-other-sql", {"edits": "now runs other SQL (upgrade)"}, {"db/versions/b2.py": OTHER}
    ),
    changed(
        "prune",
        {"edits": "was removed; every database is past it", "run": "already at this revision"},
        PRUNED,
    ),
    changed(
        "squash-unproven",
        {
            "run": "If it was squashed or pruned, have it proven on the page Migrations",
            "rehearsal": "If it was squashed or pruned, have it proven",
            "proof": "exactly that of s1, the only one of 1 revision",
        },
        {**GONE, "db/versions/s1.py": SQUASHED},
    ),
    Case(
        "adopted",
        {
            "forgotten": 'failed: Revision a1 (db/versions/a1.py) failed: relation "a1" already'
            " exists. The database is at no revision. It has tables and no revision: if these",
            "proof": "exactly that of b2, the only one of 3 revisions",
        },
        usual(A, B),
        usual(A, B, table("c3", "b2")),
    ),
    Case(
        "depends-on-downgrade",
        {"rehearsal": "passed", "run": "succeeded: The database is at bm"},
        usual(table("a1", labels="a"), table("b1", labels="b", depends_on="a1")),
        {"db/versions/bm.py": table("bm", ("a1", "b1"))},
    ),
    Case(
        "hotfix-diverged",
        {"read": "heads f2; new f2; deleted h2", "run": "which is in no file at"},
        usual(A, table("h2", "a1")),
        {"db/versions/h2.py": None, "db/versions/f2.py": table("f2", "a1")},
    ),
    Case(
        "hotfix-joined",
        {"read": "heads m3; new f2 m3", "run": "succeeded: The database is at m3"},
        usual(A, table("h2", "a1")),
        {"db/versions/f2.py": table("f2", "a1"), "db/versions/m3.py": revision("m3", ("f2", "h2"))},
    ),
]
INSTALLED = [
    installed(
        "sqlalchemy14",
        OLD,
        {"rehearsal": "passed", "run": "succeeded: The database is at b2."},
        "alembic<1.14",
        "sqlalchemy<2",
        "psycopg2-binary",
    ),
    installed(
        "pgvector",
        VECTOR,
        {"rehearsal": "passed: 1 migration rehearsed", "run": "succeeded: The database is at b2."},
        "alembic",
        "psycopg[binary]",
        "pgvector",
    ),
    installed(
        "geoalchemy2",
        GEO,
        {
            "rehearsal": "creates the extension postgis, which the scratch server does not have",
            "run": 'extension "postgis" is not available on this server; use a database whose',
        },
        "alembic",
        "psycopg[binary]",
        "geoalchemy2",
    ),
]
