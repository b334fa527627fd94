"""What `env.py` means for a run, and revisions that plan, rehearsal and run must take alike."""

from tests.cases.builder import TABLE, Case, env, revision, table, usual

A = table("users")
REFUSED = (
    "refused: failed: The portal's runner cannot do what the project's own command does here: "
)


def meant(
    name: str, env_py: str, same: str, *, version_table: str = "alembic_version", **more: str
) -> Case:
    """Return a case whose `env.py` gives its migrations a meaning: kept (“the same”) or refused
    by name.
    """
    first = revision("users", None, NAMED_UP, TABLE[1].format("users"))
    return Case(
        name, {"same": same}, {}, usual(first, env_py=env_py, **more), version_table=version_table
    )


NAMED_UP = """op.create_table(
    "users", sa.Column("id", sa.Integer, primary_key=True), sa.Column("n", sa.Text, unique=True)
)"""
OWN_SCHEMA = """connection.exec_driver_sql("CREATE SCHEMA IF NOT EXISTS app")
connection.exec_driver_sql("SET search_path TO app")
connection.commit()"""
COMPUTED = OWN_SCHEMA.replace('"SET search_path TO app"', 'f"SET search_path TO {SCHEMA}"')
WIDE = """connection.exec_driver_sql(
    "CREATE TABLE IF NOT EXISTS alembic_version (version_num VARCHAR(64) NOT NULL PRIMARY KEY)"
)
connection.exec_driver_sql("ALTER TABLE alembic_version ALTER COLUMN version_num TYPE VARCHAR(64)")
connection.commit()"""
CONVENTION = """from sqlalchemy import MetaData

metadata = MetaData(naming_convention={
    "uq": "uq__%(table_name)s__%(column_0_name)s", "pk": "pk__%(table_name)s"})
"""
COMPUTED_NAMES = (
    "from sqlalchemy import MetaData\n\nmetadata = MetaData(naming_convention=dict(pk='a%s' % 1))\n"
)
WITH_METADATA = env(head="from models import metadata").replace(
    "target_metadata=None", "target_metadata=metadata"
)
LONG = "0009_agent_ownership_public_channel_model"

ASYNC = """import asyncio
import os

from alembic import context
from sqlalchemy import pool
from sqlalchemy.ext.asyncio import create_async_engine


def do_run_migrations(connection):
    context.configure(connection=connection, target_metadata=None)
    with context.begin_transaction():
        context.run_migrations()


async def run_async_migrations():
    engine = create_async_engine(os.environ["DATABASE_URL"], poolclass=pool.NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(do_run_migrations)
    await engine.dispose()


asyncio.run(run_async_migrations())
"""
MEANINGS = [
    meant("plain-env", env(), "the same"),
    meant(
        "search-path-env",
        env(before=OWN_SCHEMA, options='version_table_schema="app"'),
        "the same",
        version_table="app.alembic_version",
    ),
    meant(
        "search-path-alone", env(before=OWN_SCHEMA), "the same", version_table="app.alembic_version"
    ),
    meant(
        "search-path-unconfigured",
        env(before=OWN_SCHEMA, options='version_table_schema="app"'),
        "The project keeps its revisions in “app.alembic_version”, and the portal was told"
        " “alembic_version”",
    ),
    meant(
        "search-path-computed",
        env(head='SCHEMA = os.environ.get("SCHEMA", "app")', before=COMPUTED),
        REFUSED + "its env.py sends a statement that it computes (line 12)",
    ),
    meant(
        "search-path-by-engine",
        env().replace(
            "poolclass=", 'connect_args={"options": "-c search_path=public"}, poolclass='
        ),
        "the same",
    ),
    meant(
        "schema-translate",
        env().replace(
            "engine.connect()",
            'engine.execution_options(schema_translate_map={None: "public"}).connect()',
        ),
        REFUSED + "its env.py sets `schema_translate_map`",
    ),
    meant(
        "version-table",
        env(options='version_table="shop_versions"'),
        "the same",
        version_table="shop_versions",
    ),
    meant(
        "version-table-constant",
        env(head='TABLE = "shop_" + "versions"', options="version_table=TABLE"),
        "the same",
        version_table="shop_versions",
    ),
    meant(
        "version-table-computed",
        env(options='version_table=os.environ.get("TABLE", "alembic_version")'),
        REFUSED + "its env.py computes `version_table`",
    ),
    meant("version-table-without-key", env(options="version_table_pk=False"), "the same"),
    meant("naming-convention", WITH_METADATA, "the same", **{"models.py": CONVENTION}),
    meant(
        "naming-convention-computed",
        WITH_METADATA,
        REFUSED + "models.py (line 3) computes a naming convention",
        **{"models.py": COMPUTED_NAMES},
    ),
    meant(
        "x-arguments",
        env(head='TENANT = context.get_x_argument(as_dictionary=True).get("tenant", "public")'),
        REFUSED + "its env.py reads -x arguments",
    ),
    meant(
        "include-hooks",
        env(options="include_schemas=True, include_name=lambda *given: True"),
        "the same",
    ),
    meant(
        "on-version-apply",
        env(options="on_version_apply=lambda **given: None"),
        REFUSED + "its env.py sets `on_version_apply`",
    ),
    meant("transaction-per-migration", env(options="transaction_per_migration=True"), "the same"),
    meant("async-env", ASYNC, "the same"),
    meant(
        "for-each-tenant",
        env()
        .replace(
            "        with context.begin", "        for _ in range(2):\n          with context.begin"
        )
        .replace("            context.run_migrations()", "            context.run_migrations()"),
        REFUSED + "its env.py runs the migrations more than once",
    ),
    meant(
        "several-engines",
        env().replace("run_migrations()", 'run_migrations(engine_name="one")'),
        "the project's own command fails",
    ),
    meant(
        "options-of-code",
        env(options="**options()", head="def options():\n    return {}"),
        REFUSED + "its env.py gives `configure` options that code makes",
    ),
    meant(
        "rows-before",
        env(before='connection.exec_driver_sql("DELETE FROM users")'),
        "the project's own command fails",
    ),
    meant(
        "configure-elsewhere",
        "import helper\n",
        REFUSED + "its env.py leaves `configure` to helper.py",
        **{"helper.py": env()},
    ),
]

BOTH = {
    "rehearsal": "passed: 1 migration rehearsed from users on PostgreSQL 18",
    "run": "succeeded: The database is at b2.",
}
UPGRADE = "alembic upgrade head"
SHADOWS = {"types/__init__.py": "raise SystemExit(3)\n", "email/__init__.py": ""}
COLON = revision(
    "b2",
    "users",
    '''op.execute("""INSERT INTO users VALUES ('{"days":28}'::text::json->'days')""")''',
)
TRICK = revision(
    "b2",
    "users",
    'op.execute("COMMIT")\nop.create_index("ix", "users", ["id"], postgresql_concurrently=True)',
    'op.execute("DROP INDEX ix")',
)
MULTI = revision(
    "b2",
    "users",
    'op.execute("ALTER TABLE users ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON users USING'
    ' (true)")',
    'op.execute("DROP POLICY p ON users; ALTER TABLE users DISABLE ROW LEVEL SECURITY")',
)
CONCURRENT = revision(
    "b2", "users", 'op.create_index("ix", "users", ["id"], postgresql_concurrently=True)'
)
ENUM = revision(
    "users",
    None,
    "op.execute(\"CREATE TYPE st AS ENUM ('a', 'b')\")\nop.execute(\"CREATE TABLE users (id int, s"
    ' st)")',
)
ENUM_USED = revision(
    "b2",
    "users",
    "op.execute(\"ALTER TYPE st ADD VALUE 'c'\")\nop.execute(\"UPDATE users SET s = 'c'\")",
)
ENUM_LEFT = revision(
    "b2",
    "users",
    'op.create_table("test", sa.Column("c", sa.Enum("A", "B", name="myenum"), nullable=False))',
    'op.drop_table("test")',
)
EXTENSIONS = revision(
    "b2",
    "users",
    """op.execute('CREATE EXTENSION IF NOT EXISTS "uuid-ossp"')
op.execute("CREATE EXTENSION IF NOT EXISTS pgcrypto")
op.execute("CREATE EXTENSION IF NOT EXISTS citext")
op.add_column("users", sa.Column("uid", sa.Uuid, server_default=sa.text("uuid_generate_v4()")))""",
    'op.drop_column("users", "uid")',
)
NAMED = revision(
    "b2",
    "users",
    'op.create_table("n", sa.Column("id", sa.Integer, primary_key=True),'
    ' sa.Column("m", sa.Text, unique=True))',
    'op.drop_table("n")',
)
READS_FILE = "from pathlib import Path"
BESIDE = revision(
    "b2",
    "users",
    'op.execute((Path(__file__).parent / "sql" / "b2.sql").read_text())\n'
    'op.execute((Path(__file__).parent.parent / "sql" / "b2.sql").read_text())',
    'op.drop_column("users", "n")\nop.drop_column("users", "o")',
    head=READS_FILE,
)
SQL_FILES = {
    "db/versions/sql/b2.sql": "ALTER TABLE users ADD COLUMN n text",
    "db/sql/b2.sql": "ALTER TABLE users ADD COLUMN o text",
}


def second(name: str, text: str, expected: dict[str, str], *, first: str = A, **more: str) -> Case:
    """Return a case in which one revision comes upon another."""
    return Case(name, expected, usual(first), usual(first, text, **more))


RUNS = [
    second(
        "long-id",
        table(LONG, "users"),
        {
            "run": (
                f"failed: The id {LONG} has 41 characters, and the version table holds 32; widen it"
                " with"
            ),
            "rehearsal": "the version table holds 32; widen it with `ALTER TABLE",
        },
    ),
    Case(
        "long-id-widened",
        {"run": f"succeeded: The database is at {LONG}", "rehearsal": "passed"},
        usual(A, env_py=env(before=WIDE)),
        usual(A, table(LONG, "users"), env_py=env(before=WIDE)),
    ),
    second(
        "json-colon",
        COLON,
        {
            "plan": (
                "“:28” is a parameter of the statement, and no value is bound to it; write “\\:28”"
            ),
            "run": (
                "failed: Revision b2 (db/versions/b2.py) failed: A value is required for bind"
                " parameter '28'"
            ),
        },
    ),
    second(
        "commit-trick",
        TRICK,
        {
            "plan": "COMMIT | CREATE INDEX CONCURRENTLY ix ON users (id)",
            "rehearsal": (
                "failed: Revision b2 (db/versions/b2.py) failed: CREATE INDEX CONCURRENTLY cannot"
                " run inside a"
            ),
            "run": (
                "failed: Revision b2 (db/versions/b2.py) failed: CREATE INDEX CONCURRENTLY cannot"
                " run inside a"
            ),
        },
    ),
    second(
        "asyncpg-multi",
        MULTI,
        {
            "plan": (
                "ALTER TABLE users ENABLE ROW LEVEL SECURITY | CREATE POLICY p ON users USING"
                " (true)"
            ),
            "rehearsal": "passed",
            "run": "succeeded",
        },
    ),
    second("concurrent-in-tx", CONCURRENT, {"rehearsal": "failed", "run": "failed"}),
    second(
        "enum-use-same-rev",
        ENUM_USED,
        {"run": 'unsafe use of new value "c" of enum type st'},
        first=ENUM,
    ),
    second(
        "enum-drop-downgrade",
        ENUM_LEFT,
        {
            "rehearsal": (
                "The downgrade leaves the schema different: type myenum added. The second "
                "upgrade failed"
            )
        },
    ),
    second("extensions", EXTENSIONS, {"rehearsal": "passed", "run": "succeeded"}),
    second(
        "sql-file",
        BESIDE,
        {
            "plan": "ALTER TABLE users ADD COLUMN n text | ALTER TABLE users ADD COLUMN o text",
            "rehearsal": "passed",
            "run": "succeeded",
        },
        **SQL_FILES,
    ),
    Case(
        "naming-convention-planned",
        {"plan": "CONSTRAINT uq__n__m UNIQUE (m)"},
        usual(A, env_py=WITH_METADATA, **{"models.py": CONVENTION}),
        usual(A, NAMED, env_py=WITH_METADATA, **{"models.py": CONVENTION}),
    ),
    second("empty-database", table("b2", "users"), {"same": "the same"}),
    Case(
        "depends-on",
        {"run": "succeeded: The database is at a2, q3"},
        usual(
            table("q1", labels="q"),
            table("a1", labels="a"),
            table("t1", labels="t"),
            table("t2", "t1"),
        ),
        usual(
            table("t3", "t2"),
            table("q2", "q1", depends_on="t3"),
            table("q3", "q2"),
            table("a2", "a1"),
        ),
    ),
    Case(
        "inserted-below",
        {"read": "x9 was put below b2, which has run: Alembic will not run it"},
        usual(table("a1"), table("b2", "a1")),
        usual(table("a1"), table("x9", "a1"), table("b2", "x9")),
    ),
    Case(
        "shadowed-standard-library",
        BOTH,
        usual(A, **SHADOWS),
        usual(A, table("b2", "users"), **SHADOWS),
        command=UPGRADE,
    ),
]

SQLMODEL = {
    "sqlmodel/__init__.py": "from sqlmodel.sql import sqltypes\n",
    "sqlmodel/sql/__init__.py": "",
    "sqlmodel/sql/sqltypes.py": (
        "import sqlalchemy\n\n\nclass AutoString(sqlalchemy.String):\n    pass\n"
    ),
}
AUTO = (
    'op.add_column("users", sa.Column("n", sqlmodel.sql.sqltypes.AutoString()))',
    'op.drop_column("users", "n")',
)
REGISTERS = """from alembic.operations import MigrateOperation, Operations


@Operations.register_operation("create_view")
class CreateView(MigrateOperation):
    def __init__(self, name, sql):
        self.name, self.sql = name, sql

    @classmethod
    def create_view(cls, operations, name, sql):
        return operations.invoke(cls(name, sql))


@Operations.implementation_for(CreateView)
def create_view(operations, one):
    operations.execute(f"CREATE VIEW {one.name} AS {one.sql}")
"""
VIEW = revision(
    "b2", "users", 'op.create_view("v", "SELECT id FROM users")', 'op.execute("DROP VIEW v")'
)
SIZED = revision(
    "b2",
    "users",
    'op.execute(f"ALTER TABLE users ADD COLUMN e float8[{DIM}]")',
    'op.drop_column("users", "e")',
    head='import os\n\nDIM = int(os.environ["EMBEDDING_DIM"])',
)
HELPS = "def add(op, sa, table, name):\n    op.add_column(table, sa.Column(name, sa.Text))\n"
HELPED = revision(
    "b2",
    "users",
    'add(op, sa, "users", "n")',
    'op.drop_column("users", "n")',
    head="from migration_helpers import add",
)


def command(
    name: str,
    second: str,
    *,
    plan: str,
    env_py: str = "",
    packages: dict[str, str] | None = None,
    variables: dict[str, str] | None = None,
    **more: str,
) -> Case:
    """Return a case that plans, rehearses and runs in the project's environment, by its own
    command.
    """
    layout = usual(A, env_py=env_py, **more)
    return Case(
        name,
        {"plan": plan, **BOTH},
        layout,
        usual(A, second, env_py=env_py, **more),
        command=UPGRADE,
        packages=packages or {},
        variables=variables or {},
    )


COMMANDS = [
    command(
        "sqlmodel",
        revision("b2", "users", *AUTO, head="import sqlmodel"),
        plan="ADD COLUMN n VARCHAR",
        packages=SQLMODEL,
    ),
    command(
        "custom-op", VIEW, plan="CREATE VIEW v AS SELECT id FROM users", env_py=env(head=REGISTERS)
    ),
    command("env-variable", SIZED, plan="ADD COLUMN e float8[3]", variables={"EMBEDDING_DIM": "3"}),
    command("sibling-helper", HELPED, plan="ADD COLUMN n TEXT", **{"migration_helpers.py": HELPS}),
]

CASES = [*COMMANDS, *RUNS, *MEANINGS]
