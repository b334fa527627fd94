"""`manage.py demo` on repositories of different style, each shipped or refused by one right
sentence: prints a table, fails on any other end.

The shapes are built from what public projects look like. Give names to try some only; those that
install packages take them from the package index.
"""

import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.cases.builder import INI, env, files, revision, table, usual
from tests.faults import foreign_styles as styles

ROOT = Path(__file__).parents[2]
SHIPPED = "shipped"
SECONDS = 420
_DRIFT = re.compile(
    r".*(?:that no migration creates|that its migrations create|differs from its migrations).*"
)
Files = Mapping[str, str | None]


@dataclass(frozen=True)
class Shape:
    """A repository (`main` in production, `staging` on top of it) and how it ends.

    `ends`: SHIPPED, or words of the sentence that refuses it. `args` are the demo's own.
    """

    name: str
    ends: str
    main: Files
    staging: Files
    args: tuple[str, ...] = ("--alembic", "alembic.ini")
    installs: bool = field(default=False, kw_only=True)


A = table("a1")
B = revision(
    "b2", "a1", 'op.add_column("a1", sa.Column("n", sa.Text))', 'op.drop_column("a1", "n")'
)
ENV_ASYNC = """import asyncio
import os

from alembic import context
from sqlalchemy import pool
from sqlalchemy.ext.asyncio import async_engine_from_config


def do_run_migrations(connection):
    context.configure(connection=connection, target_metadata=None)
    with context.begin_transaction():
        context.run_migrations()


async def run_async_migrations():
    connectable = async_engine_from_config(
        context.config.get_section(context.config.config_ini_section, {}),
        prefix="sqlalchemy.",
        poolclass=pool.NullPool,
    )
    async with connectable.connect() as connection:
        await connection.run_sync(do_run_migrations)
    await connectable.dispose()


def run_migrations_online():
    asyncio.run(run_async_migrations())


run_migrations_online()
"""
NAMES = """from sqlalchemy import MetaData

metadata = MetaData(
    naming_convention={"pk": "pk_%(table_name)s", "uq": "uq_%(table_name)s_%(column_0_name)s"}
)
"""
MODELS = "from sqlalchemy.orm import DeclarativeBase\n\n\nclass Base(DeclarativeBase):\n    pass\n"
TYPES = "import sqlalchemy as sa\n\n\nclass Email(sa.String):\n    cache_ok = True\n"
IMPORTS = revision(
    "b2",
    "a1",
    'op.add_column("a1", sa.Column("n", Email()))',
    'op.drop_column("a1", "n")',
    head="from app.types import Email",
)
WITH_NAMES = env(head="from app.models import metadata").replace(
    "target_metadata=None", "target_metadata=metadata"
)
NAMED = revision(
    "b2",
    "a1",
    'op.create_table("b2", sa.Column("id", sa.Integer, primary_key=True),'
    ' sa.Column("mail", sa.Text, unique=True))',
    'op.drop_table("b2")',
)
IN_SCHEMA = revision(
    "a1",
    None,
    'op.execute("CREATE SCHEMA IF NOT EXISTS shop")\n'
    'op.create_table("a1", sa.Column("id", sa.Integer, primary_key=True), schema="shop")',
    'op.drop_table("a1", schema="shop")',
)
IN_SCHEMA_TOO = revision(
    "b2",
    "a1",
    'op.add_column("a1", sa.Column("n", sa.Text), schema="shop")',
    'op.drop_column("a1", "n", schema="shop")',
)
SCHEMA_ENV = env(
    before='connection.exec_driver_sql("CREATE SCHEMA IF NOT EXISTS shop")\nconnection.commit()',
    options='version_table_schema="shop", include_schemas=True',
)
SECTIONS = "[alembic]\n\n[users]\nscript_location = users\n\n[shop]\nscript_location = shop\n"
FLASK_ENV = """import logging

from alembic import context
from flask import current_app

config = context.config
target_db = current_app.extensions["migrate"].db


def run_migrations_online():
    with target_db.engine.connect() as connection:
        context.configure(connection=connection, target_metadata=target_db.metadata)
        with context.begin_transaction():
            context.run_migrations()


run_migrations_online()
"""
PSYCOPG = "alembic\nsqlalchemy\npsycopg[binary]\n"
# As most projects do: whatever the address says, the driver that they chose.
DRIVER = (
    'os.environ["DATABASE_URL"] ='
    ' os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://", 1)'
)
COMMAND = ("--alembic", "alembic.ini", "--command", "alembic upgrade head")
PIP = ("--install", "pip install -r requirements.txt")
UTILS = revision(
    "b2",
    "a1",
    "op.create_entity(VIEW)",
    "op.drop_entity(VIEW)",
    head="from alembic_utils.pg_view import PGView\n\n"
    'VIEW = PGView(schema="public", signature="ids", definition="SELECT id FROM a1")',
)
SQLMODEL = revision(
    "b2",
    "a1",
    'op.add_column("a1", sa.Column("n", sqlmodel.sql.sqltypes.AutoString()))',
    'op.drop_column("a1", "n")',
    head="import sqlmodel",
)
OLD = revision(
    "b2",
    "a1",
    'conn = op.get_bind()\nconn.execute("UPDATE a1 SET id = id")\nt = sa.table("a1",'
    ' sa.column("id"))\nfor row in conn.execute(sa.select([t.c.id])).fetchall():\n    pass\n'
    'op.add_column("a1", sa.Column("n", sa.Text))',
    'op.drop_column("a1", "n")',
)
OLD_ENV = env().replace(", pool\n", ", pool\n").replace("psycopg", "psycopg2")
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
    'op.execute("CREATE EXTENSION IF NOT EXISTS postgis")\n'
    'op.add_column("a1", sa.Column("at", geoalchemy2.types.Geometry("POINT", srid=4326)))',
    'op.drop_column("a1", "at")',
    head="import geoalchemy2",
)
ASYNC = INI + "sqlalchemy.url = postgresql+asyncpg://app:secret@db/app\n"
PYPROJECT = (
    '[project]\nname = "shop"\nversion = "1"\n\n[tool.alembic]\nscript_location ='
    ' "%(here)s/src/shop/migrations"\nprepend_sys_path = ["src"]\n'
)
SRC = "src/shop/migrations"


def both(first: str, second: str, **more: str) -> tuple[Files, Files]:
    """Return a usual layout with one revision, and a second one upon it."""
    return usual(first, **more), usual(first, second, **more)


def apart(name: str, *texts: str) -> dict[str, str | None]:
    """Return a script directory of that name."""
    return {f"{name}/env.py": env(), **files(*texts, under=f"{name}/versions")}


SHAPES = [
    Shape("alembic-init", SHIPPED, *both(A, B)),
    Shape(
        "package-imported",
        "since its migrations import “app”, and no lock file",
        *both(A, IMPORTS, **{"app/__init__.py": "", "app/types.py": TYPES}),
    ),
    Shape(
        "package-by-command",
        SHIPPED,
        *both(
            A,
            IMPORTS,
            env_py=env(head=DRIVER),
            **{"app/__init__.py": "", "app/types.py": TYPES, "requirements.txt": PSYCOPG},
        ),
        args=(*COMMAND, *PIP),
        installs=True,
    ),
    Shape(
        "sqlmodel",
        SHIPPED,
        *both(A, SQLMODEL, env_py=env(head=DRIVER), **{"requirements.txt": f"{PSYCOPG}sqlmodel\n"}),
        args=(*COMMAND, *PIP),
        installs=True,
    ),
    Shape(
        "alembic-utils",
        SHIPPED,
        *both(
            A,
            UTILS,
            env_py=env(head=f"import alembic_utils  # noqa\n{DRIVER}"),
            **{"requirements.txt": f"{PSYCOPG}alembic_utils\n"},
        ),
        args=(*COMMAND, *PIP),
        installs=True,
    ),
    Shape(
        "sqlalchemy-1.4",
        SHIPPED,
        *both(A, OLD, **{"requirements.txt": "alembic<1.14\nsqlalchemy<2\npsycopg2-binary\n"}),
        args=(*COMMAND, *PIP),
        installs=True,
    ),
    Shape(
        "pgvector",
        SHIPPED,
        *both(A, VECTOR, env_py=env(head=DRIVER), **{"requirements.txt": f"{PSYCOPG}pgvector\n"}),
        args=(*COMMAND, *PIP),
        installs=True,
    ),
    Shape(
        "geoalchemy2",
        "use a database whose server has postgis",
        *both(A, GEO, env_py=env(head=DRIVER), **{"requirements.txt": f"{PSYCOPG}geoalchemy2\n"}),
        args=(*COMMAND, *PIP),
        installs=True,
    ),
    Shape(
        "src-layout-pyproject",
        SHIPPED,
        {"pyproject.toml": PYPROJECT, "src/shop/__init__.py": "", **apart(SRC, A)},
        apart(SRC, A, B),
        ("--alembic", "pyproject.toml"),
    ),
    Shape(
        "sections-unnamed",
        "use “alembic.ini:users” or “alembic.ini:shop”",
        {"alembic.ini": SECTIONS, **apart("users", A), **apart("shop", table("s1"))},
        apart("users", A, B),
    ),
    Shape(
        "sections-named",
        SHIPPED,
        {"alembic.ini": SECTIONS, **apart("users", A), **apart("shop", table("s1"))},
        apart("users", A, B),
        ("--alembic", "alembic.ini:users"),
    ),
    Shape("async-env", SHIPPED, *both(A, B, env_py=ENV_ASYNC, ini=ASYNC)),
    Shape(
        "naming-convention",
        SHIPPED,
        *both(A, NAMED, env_py=WITH_NAMES, **{"app/__init__.py": "", "app/models.py": NAMES}),
    ),
    Shape("schema-untold", SHIPPED, *both(IN_SCHEMA, IN_SCHEMA_TOO, env_py=SCHEMA_ENV)),
    Shape(
        "schema-told",
        SHIPPED,
        *both(IN_SCHEMA, IN_SCHEMA_TOO, env_py=SCHEMA_ENV),
        args=("--alembic", "alembic.ini", "--version-table", "shop.alembic_version"),
    ),
    Shape(
        "branches-and-merge",
        SHIPPED,
        usual(A, table("l1", "a1"), table("r1", "a1"), table("m1", ("l1", "r1"))),
        files(table("l2", "m1"), table("r2", "m1"), table("m2", ("l2", "r2"))),
    ),
    Shape(
        "flask-migrate",
        SHIPPED,
        {"migrations/alembic.ini": "[alembic]\n", **apart("migrations", A)}
        | {"migrations/env.py": FLASK_ENV},
        files(B, under="migrations/versions"),
        ("--alembic", "migrations"),
    ),
    Shape("first-migrations", SHIPPED, {"README.md": "An app.\n"}, usual(A, B)),
    Shape("two-heads", "There are 2 heads", usual(A), files(table("l1", "a1"), table("r1", "a1"))),
    Shape(
        "x-arguments",
        "reads -x arguments",
        *both(A, B, env_py=env(head='TENANT = context.get_x_argument(as_dictionary=True)["t"]')),
    ),
    Shape(
        "fastapi-template",
        SHIPPED,
        styles.FASTAPI_TEMPLATE,
        files(styles.SQLMODEL, under="backend/app/alembic/versions"),
        ("--alembic", "backend/alembic.ini"),
        installs=True,
    ),
    Shape(
        "async-and-utils",
        SHIPPED,
        styles.POLAR,
        files(styles.UTILS, under="server/migrations/versions"),
        ("--alembic", "server/alembic.ini"),
        installs=True,
    ),
    Shape(
        "types-of-its-own",
        SHIPPED,
        styles.MEALIE,
        files(styles.GUID, under="shop/alembic/versions"),
        installs=True,
    ),
    Shape(
        "flask-factory",
        SHIPPED,
        styles.DIFY,
        files(styles.GUID, under="api/migrations/versions"),
        ("--alembic", "api/migrations"),
        installs=True,
    ),
    Shape(
        "advisory-lock",
        SHIPPED,
        styles.LANGFLOW,
        files(styles.B, under="src/shop/alembic/versions"),
        ("--alembic", "src/alembic.ini"),
    ),
    Shape(
        "no-ini",
        SHIPPED,
        styles.WAREHOUSE,
        files(styles.B, under="shop/migrations/versions"),
        ("--alembic", "shop/migrations"),
    ),
    Shape(
        "settings-of-its-own",
        SHIPPED,
        styles.REALWORLD,
        files(styles.B, under="app/db/migrations/versions"),
    ),
    Shape(
        "tenants",
        "reads -x arguments",
        styles.TENANTS,
        files(styles.B, under="backend/alembic/versions"),
        ("--alembic", "backend/alembic.ini"),
    ),
    Shape("dialects", SHIPPED, styles.DIALECTS, files(styles.B, under="shop/migrations/versions")),
    Shape("risk-accepted", SHIPPED, *both(A, revision("b2", "a1", 'op.execute("TRUNCATE a1")'))),
]


def build(shape: Shape, where: Path) -> Path:
    """Return its repository, with a commit on `main` and one upon it on `staging`."""

    def git(*command: str) -> None:
        subprocess.run(["git", "-C", str(where), *command], check=True, capture_output=True)

    where.mkdir(parents=True)
    git("init", "-q", "-b", "main")
    git("config", "user.email", "a@b.c")
    git("config", "user.name", "A")
    for branch, layout in (("main", shape.main), ("staging", shape.staging)):
        if branch != "main":
            git("checkout", "-q", "-b", branch)
        for path, text in layout.items():
            (where / path).parent.mkdir(parents=True, exist_ok=True)
            (where / path).write_text(text or "")
        git("add", "-A")
        git("commit", "-q", "-m", f"On {branch}", "--allow-empty")
    return where


def ship(shape: Shape, folder: Path) -> tuple[str, str]:
    """Run the demo on it; return how it ended, and the last word."""
    repository = build(shape, folder / "repository")
    done = subprocess.run(
        [
            sys.executable,
            "manage.py",
            "demo",
            "--repository",
            str(repository),
            "--seconds",
            str(SECONDS),
            "--json",
            *shape.args,
        ],
        cwd=ROOT,
        env={**_surroundings(), "PORTAL_VAR_DIR": str(folder / "var")},
        capture_output=True,
        text=True,
        check=False,
    )
    last = next((line for line in reversed(done.stdout.splitlines()) if line.startswith("{")), "")
    if not last:
        return "broke off", (done.stderr or done.stdout).strip()[-500:]
    report = json.loads(last)
    if drift := _DRIFT.search(done.stdout):  # nobody has changed these databases by hand
        return "drifted", drift[0]
    return (SHIPPED, "") if report["ok"] else ("refused", report["problem"])


def _surroundings() -> dict[str, str]:
    import os

    kept = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    return kept | {"PORTAL_ENV_FILE": "/dev/null"}


def holds(shape: Shape, outcome: str, sentence: str) -> bool:
    """Whether it ended as it should; a demo that only ran out of time did not."""
    if shape.ends == SHIPPED:
        return outcome == SHIPPED
    return outcome != SHIPPED and shape.ends in sentence and "Waited too long" not in sentence


def main() -> None:
    """Try every shape, or those that are named."""
    wanted, failed = sys.argv[1:], 0
    for shape in SHAPES:
        if wanted and not any(part in shape.name for part in wanted):
            continue
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="portal-shape-") as folder:
            outcome, sentence = ship(shape, Path(folder))
        held = holds(shape, outcome, sentence)
        failed += not held
        seconds = time.monotonic() - began
        sys.stdout.write(
            f"{'   ' if held else '!! '}{shape.name:22} {outcome:9} {seconds:5.0f} s  {sentence}\n"
        )
        sys.stdout.flush()
    raise SystemExit(bool(failed))


if __name__ == "__main__":
    main()
