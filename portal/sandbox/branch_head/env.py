"""Alembic's environment for bringing a sandbox database to a branch's head; reads
SANDBOX_TARGET_URL.

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
with engine.connect() as connection:
    # Sandbox data may be lost in a power cut; without the wait thousands of commits take seconds.
    connection.execute(text("SET synchronous_commit = off"))
    # As Alembic makes it, but with room for revision names of more than 32 characters.
    connection.execute(
        text(
            "CREATE TABLE IF NOT EXISTS alembic_version (version_num VARCHAR(255) NOT NULL, "
            "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
        )
    )
    connection.commit()
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
