"""What `env.py` means for a run, and revisions that plan, rehearsal and run must take alike."""

from tests.cases.builder import TABLE, Case, env, revision, table, usual

A = table("users")
REFUSED = "refused: failed: The portal's runner cannot do what the project's own command does here: "


def meant(name: str, env_py: str, same: str, *, version_table: str = "alembic_version", **more: str) -> Case:
    """Return a case whose `env.py` gives its migrations a meaning: kept (“the same”) or refused by name."""
    first = revision("users", None, NAMED_UP, TABLE[1].format("users"))
    return Case(name, {"same": same}, {}, usual(first, env_py=env_py, **more), version_table=version_table)


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

metadata = MetaData(naming_convention={"uq": "uq__%(table_name)s__%(column_0_name)s", "pk": "pk__%(table_name)s"})
"""
COMPUTED_NAMES = "from sqlalchemy import MetaData\n\nmetadata = MetaData(naming_convention=dict(pk='a%s' % 1))\n"
WITH_METADATA = env(head="from models import metadata").replace("target_metadata=None", "target_metadata=metadata")
LONG = "0009_agent_ownership_public_channel_model"

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
        "The project keeps its revisions in “app.alembic_version”, and the portal was told “alembic_version”",
    ),
    meant(
        "search-path-computed",
        env(head='SCHEMA = os.environ.get("SCHEMA", "app")', before=COMPUTED),
        REFUSED + "its env.py sends a statement that it computes (line 12)",
    ),
    meant(
        "search-path-by-engine",
        env().replace("poolclass=", 'connect_args={"options": "-c search_path=public"}, poolclass='),
        "the same",
    ),
    meant(
        "schema-translate",
        env().replace("engine.connect()", 'engine.execution_options(schema_translate_map={None: "public"}).connect()'),
        REFUSED + "its env.py sets `schema_translate_map`",
    ),
    meant("version-table", env(options='version_table="shop_versions"'), "the same", version_table="shop_versions"),
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
    meant("include-hooks", env(options="include_schemas=True, include_name=lambda *given: True"), "the same"),
    meant(
        "on-version-apply",
        env(options="on_version_apply=lambda **given: None"),
        REFUSED + "its env.py sets `on_version_apply`",
    ),
    meant("transaction-per-migration", env(options="transaction_per_migration=True"), "the same"),
    meant(
        "for-each-tenant",
        env().replace("        with context.begin", "        for _ in range(2):\n          with context.begin").replace(
            "            context.run_migrations()", "            context.run_migrations()"),
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
        "rows-before", env(before='connection.exec_driver_sql("DELETE FROM users")'), "the project's own command fails"
    ),
    meant(
        "configure-elsewhere",
        "import helper\n",
        REFUSED + "its env.py leaves `configure` to helper.py",
        **{"helper.py": env()},
    ),
]  # fmt: skip

RUNS = [
    Case(
        "long-id",
        {"run": f"failed: The id {LONG} has 41 characters, and the version table holds 32; widen it with"},
        usual(A), usual(A, table(LONG, "users")),
    ),
    Case("long-id-widened", {"run": f"succeeded: The database is at {LONG}", "rehearsal": "passed"},
         usual(A, env_py=env(before=WIDE)), usual(A, table(LONG, "users"), env_py=env(before=WIDE))),
]  # fmt: skip

SQLMODEL = {
    "sqlmodel/__init__.py": "from sqlmodel.sql import sqltypes\n",
    "sqlmodel/sql/__init__.py": "",
    "sqlmodel/sql/sqltypes.py": "import sqlalchemy\n\n\nclass AutoString(sqlalchemy.String):\n    pass\n",
}
AUTO = 'op.add_column("users", sa.Column("n", sqlmodel.sql.sqltypes.AutoString()))', 'op.drop_column("users", "n")'
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
VIEW = revision("b2", "users", 'op.create_view("v", "SELECT id FROM users")', 'op.execute("DROP VIEW v")')
SIZED = revision(
    "b2", "users", 'op.execute(f"ALTER TABLE users ADD COLUMN e float8[{DIM}]")', 'op.drop_column("users", "e")',
    head='import os\n\nDIM = int(os.environ["EMBEDDING_DIM"])',
)  # fmt: skip
HELPS = "def add(op, sa, table, name):\n    op.add_column(table, sa.Column(name, sa.Text))\n"
HELPED = revision(
    "b2", "users", 'add(op, sa, "users", "n")', 'op.drop_column("users", "n")', head="from migration_helpers import add"
)
BOTH = {
    "rehearsal": "passed: 1 migration rehearsed from users on PostgreSQL 18",
    "run": "succeeded: The database is at b2.",
}
UPGRADE = "alembic upgrade head"


def command(name: str, second: str, *, plan: str, env_py: str = "", packages: dict[str, str] | None = None,
            variables: dict[str, str] | None = None, **more: str) -> Case:  # fmt: skip
    """Return a case that plans, rehearses and runs in the project's environment, by its own command."""
    layout = usual(A, env_py=env_py, **more)
    return Case(
        name, {"plan": plan, **BOTH}, layout, usual(A, second, env_py=env_py, **more), command=UPGRADE,
        packages=packages or {}, variables=variables or {},
    )  # fmt: skip


COMMANDS = [
    command(
        "sqlmodel", revision("b2", "users", *AUTO, head="import sqlmodel"), plan="ADD COLUMN n VARCHAR",
        packages=SQLMODEL,
    ),
    command("custom-op", VIEW, plan="CREATE VIEW v AS SELECT id FROM users", env_py=env(head=REGISTERS)),
    command("env-variable", SIZED, plan="ADD COLUMN e float8[3]", variables={"EMBEDDING_DIM": "3"}),
    command("sibling-helper", HELPED, plan="ADD COLUMN n TEXT", **{"migration_helpers.py": HELPS}),
]  # fmt: skip

CASES = [*COMMANDS, *MEANINGS, *RUNS]
