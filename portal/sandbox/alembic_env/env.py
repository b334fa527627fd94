"""Alembic's environment for bringing a sandbox database to a branch's head; reads
SANDBOX_TARGET_URL and SANDBOX_VERSION_TABLE.

One transaction for each migration: thousands of tables in one would run out of PostgreSQL's lock
table.
"""

import os

from alembic import context
from sqlalchemy import create_engine, pool, text

url = os.environ["SANDBOX_TARGET_URL"].replace("postgresql://", "postgresql+psycopg://", 1)
engine = create_engine(
    url.replace("postgres://", "postgresql+psycopg://", 1), poolclass=pool.NullPool
)
schema, _, table = os.environ.get("SANDBOX_VERSION_TABLE", "alembic_version").rpartition(".")
name = f'"{schema}"."{table}"' if schema else f'"{table}"'
with engine.connect() as connection:
    # Sandbox data may be lost in a power cut; without the wait thousands of commits take seconds.
    connection.execute(text("SET synchronous_commit = off"))
    if schema:
        connection.execute(text(f'CREATE SCHEMA IF NOT EXISTS "{schema}"'))
    # As Alembic makes it, but with room for revision names of more than 32 characters.
    connection.execute(
        text(
            f"CREATE TABLE IF NOT EXISTS {name} (version_num VARCHAR(255) NOT NULL, "
            f'CONSTRAINT "{table}_pkc" PRIMARY KEY (version_num))'
        )
    )
    connection.commit()
    context.configure(
        connection=connection,
        transaction_per_migration=True,
        version_table=table,
        version_table_schema=schema or None,
    )
    with context.begin_transaction():
        context.run_migrations()
