"""Repositories in the styles of public ones, each in code of our own: what their `env.py`, settings
and layout have in common with many others.
"""

from collections.abc import Mapping

from tests.cases.builder import files, revision, table

Files = Mapping[str, str | None]
A = table("a1")
B = revision(
    "b2", "a1", 'op.add_column("a1", sa.Column("n", sa.Text))', 'op.drop_column("a1", "n")'
)
SQLMODEL = revision(
    "b2",
    "a1",
    'op.add_column("a1", sa.Column("n", sqlmodel.sql.sqltypes.AutoString(length=9)))',
    'op.drop_column("a1", "n")',
    head="import sqlmodel.sql.sqltypes",
)


def ini(location: str, *more: str) -> str:
    """Return an ini file as `alembic init` writes it, without its comments and logging."""
    lines = ["[alembic]", f"script_location = {location}", *more]
    return "\n".join([*lines, "sqlalchemy.url = driver://user:pass@localhost/dbname", ""])


def sync_env(head: str, url: str, metadata: str = "None", options: str = "") -> str:
    """Return an `env.py` that takes its address from the application."""
    return f"""from logging.config import fileConfig

from alembic import context
from sqlalchemy import engine_from_config, pool

{head}

config = context.config
target_metadata = {metadata}


def run_migrations_offline():
    context.configure(url={url}, target_metadata=target_metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()


def run_migrations_online():
    configuration = config.get_section(config.config_ini_section)
    configuration["sqlalchemy.url"] = {url}
    connectable = engine_from_config(configuration, prefix="sqlalchemy.", poolclass=pool.NullPool)
    with connectable.connect() as connection:
        context.configure(connection=connection, target_metadata=target_metadata{options})
        with context.begin_transaction():
            context.run_migrations()


if context.is_offline_mode():
    run_migrations_offline()
else:
    run_migrations_online()
"""


def async_env(head: str, url: str, before: str = "pass", options: str = "") -> str:
    """Return an `env.py` with an asynchronous engine."""
    return f"""import asyncio

from alembic import context
from sqlalchemy import pool, text
from sqlalchemy.ext.asyncio import async_engine_from_config

{head}

config = context.config
config.set_main_option("sqlalchemy.url", {url}.replace("%", "%%"))


def do_run_migrations(connection):
    context.configure(connection=connection, target_metadata=None, compare_type=True{options})
    with context.begin_transaction():
        {before}
        context.run_migrations()


async def run_async_migrations():
    connectable = async_engine_from_config(
        config.get_section(config.config_ini_section, {{}}),
        prefix="sqlalchemy.",
        poolclass=pool.NullPool,
    )
    async with connectable.connect() as connection:
        await connection.run_sync(do_run_migrations)
    await connectable.dispose()


asyncio.run(run_async_migrations())
"""


SETTINGS = """from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_file="../.env", extra="ignore")
    PROJECT_NAME: str
    POSTGRES_SERVER: str
    POSTGRES_PORT: int = 5432
    POSTGRES_USER: str
    POSTGRES_PASSWORD: str = ""
    POSTGRES_DB: str = ""

    @property
    def uri(self) -> str:
        account = f"{self.POSTGRES_USER}:{self.POSTGRES_PASSWORD}"
        place = f"{self.POSTGRES_SERVER}:{self.POSTGRES_PORT}/{self.POSTGRES_DB}"
        return f"postgresql+psycopg://{account}@{place}"


settings = Settings()
"""
DOTENV = (
    "PROJECT_NAME=shop\nPOSTGRES_SERVER=localhost\nPOSTGRES_USER=postgres\n"
    "POSTGRES_PASSWORD=changethis\nPOSTGRES_DB=app\n"
)
FASTAPI_TEMPLATE = {
    ".env": DOTENV,
    "backend/alembic.ini": ini("app/alembic"),
    "backend/requirements.txt": "alembic\nsqlmodel\npydantic-settings\npsycopg[binary]\n",
    "backend/app/__init__.py": "",
    "backend/app/core/__init__.py": "",
    "backend/app/core/config.py": SETTINGS,
    "backend/app/alembic/env.py": sync_env(
        "import os\nimport sys\n\nsys.path.append(os.getcwd())\n"
        "from app.core.config import settings  # noqa",
        "settings.uri",
    ),
    **files(A, under="backend/app/alembic/versions"),
}
# One dictionary of settings with a prefix, an asynchronous engine, a package for the types.
ASYNC_SETTINGS = """import os


def dsn() -> str:
    return os.environ["SHOP_DATABASE_URL"]
"""
POLAR = {
    "server/alembic.ini": ini("migrations", "prepend_sys_path = ."),
    "server/requirements.txt": "alembic\nsqlalchemy[asyncio]\nasyncpg\nalembic_utils\n",
    "server/shop/__init__.py": "",
    "server/shop/config.py": ASYNC_SETTINGS.replace("SHOP_", ""),
    "server/migrations/env.py": async_env(
        "import alembic_utils  # noqa\nfrom shop.config import dsn", "dsn()"
    ),
    **files(A, under="server/migrations/versions"),
}
UTILS = revision(
    "b2",
    "a1",
    "op.create_entity(VIEW)",
    "op.drop_entity(VIEW)",
    head="from alembic_utils.pg_view import PGView\n\n"
    'VIEW = PGView(schema="public", signature="ids", definition="SELECT id FROM a1")',
)
MEALIE = {
    "alembic.ini": ini("shop/alembic", "prepend_sys_path = ."),
    "pyproject.toml": (
        '[project]\nname = "shop"\nversion = "1"\n'
        'dependencies = ["alembic", "sqlalchemy<2.1", "psycopg2-binary"]\n\n'
        '[tool.setuptools]\npackages = ["shop"]\n'
    ),
    "shop/__init__.py": "",
    "shop/types.py": "import sqlalchemy as sa\n\n\nclass GUID(sa.Uuid):\n    cache_ok = True\n",
    "shop/settings.py": """import os

HOST = os.environ.get("POSTGRES_SERVER", "postgres")
PORT = os.environ.get("POSTGRES_PORT", "5432")
USER, PASSWORD = os.environ.get("POSTGRES_USER", "x"), os.environ.get("POSTGRES_PASSWORD", "x")
DB_URL = f"postgresql://{USER}:{PASSWORD}@{HOST}:{PORT}/{os.environ.get('POSTGRES_DB', 'shop')}"
""",
    "shop/alembic/env.py": sync_env("from shop.settings import DB_URL", "DB_URL"),
    **files(A, under="shop/alembic/versions"),
}
GUID = revision(
    "b2",
    "a1",
    'op.add_column("a1", sa.Column("n", shop.types.GUID()))',
    'op.drop_column("a1", "n")',
    head="import shop.types",
)
FLASK_ENV = """import logging

from alembic import context
from flask import current_app

config = context.config
logger = logging.getLogger("alembic.env")
target_db = current_app.extensions["migrate"].db


def get_metadata():
    return target_db.metadatas[None] if hasattr(target_db, "metadatas") else target_db.metadata


def run_migrations_online():
    conf_args = current_app.extensions["migrate"].configure_args
    with current_app.extensions["migrate"].db.engine.connect() as connection:
        context.configure(connection=connection, target_metadata=get_metadata(), **conf_args)
        with context.begin_transaction():
            context.run_migrations()


run_migrations_online()
"""
DIFY = {
    "api/requirements.txt": "\n".join(
        ("flask", "flask-migrate", "flask-sqlalchemy", "sqlalchemy<2.1", "psycopg2-binary", "")
    ),
    "api/shop/__init__.py": "",
    "api/shop/types.py": MEALIE["shop/types.py"],
    "api/app.py": """import os

from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy

db = SQLAlchemy()


def create_app():
    app = Flask(__name__)
    account = f"{os.environ['DB_USERNAME']}:{os.environ['DB_PASSWORD']}"
    place = f"{os.environ['DB_HOST']}:{os.environ['DB_PORT']}/{os.environ['DB_DATABASE']}"
    app.config["SQLALCHEMY_DATABASE_URI"] = f"postgresql://{account}@{place}"
    db.init_app(app)
    Migrate(app, db)
    return app
""",
    "api/migrations/alembic.ini": "[alembic]\n",
    "api/migrations/env.py": FLASK_ENV,
    **files(A, under="api/migrations/versions"),
}
LOCKING = (
    'if connection.dialect.name == "postgresql":\n'
    "            connection.execute(text(\"SET LOCAL lock_timeout = '60s'\"))\n"
    '            connection.execute(text(f"SELECT pg_advisory_xact_lock({len(str(config))})"))'
)
LANGFLOW = {
    "src/alembic.ini": ini("shop/alembic"),
    "src/shop/alembic/env.py": async_env(
        "import os",
        'os.environ["DATABASE_URL"]',
        LOCKING,
        ", render_as_batch=True, prepare_threshold=None",
    ),
    **files(A, under="src/shop/alembic/versions"),
}
WAREHOUSE = {
    "shop/migrations/env.py": sync_env(
        "from shop import db",
        'config.get_main_option("url")',
        "db.metadata",
        ", compare_server_default=True, transaction_per_migration=True",
    ).replace(
        "        context.configure(connection",
        '        connection.execute(text("SET statement_timeout = 5000"))\n'
        "        context.configure(connection",
    ),
    "shop/__init__.py": "",
    "shop/db.py": "import sqlalchemy\n\nmetadata = sqlalchemy.MetaData()\n",
    **files(A, under="shop/migrations/versions"),
}
REALWORLD = {
    "alembic.ini": ini("./app/db/migrations"),
    "app/__init__.py": "",
    "app/config.py": "def get_app_settings():\n    raise SystemExit('needs a .env')\n",
    "app/db/migrations/env.py": sync_env(
        "from app.config import get_app_settings\n\nDATABASE_URL = get_app_settings().url",
        "str(DATABASE_URL)",
    ),
    **files(A, under="app/db/migrations/versions"),
}
TENANTS = {
    "backend/alembic.ini": ini("alembic") + "\n[private]\nscript_location = alembic_tenants\n",
    "backend/alembic/env.py": async_env(
        'import os\n\nSCHEMA = dict(one.split("=") for one in context.get_x_argument())',
        'os.environ["DATABASE_URL"]',
    ),
    **files(A, under="backend/alembic/versions"),
}
DIALECTS = {
    "alembic.ini": ini("shop/migrations"),
    "shop/migrations/env.py": sync_env(
        "import os\n\nfrom sqlalchemy import engine_from_config, pool", 'os.environ["DATABASE_URL"]'
    ).replace(
        "        with context.begin_transaction():\n            context.run",
        '        if connection.dialect.name == "sqlite":\n'
        '            context.execute("PRAGMA foreign_keys=OFF")\n'
        "        with context.begin_transaction():\n            context.run",
    ),
    **files(A, under="shop/migrations/versions"),
}
