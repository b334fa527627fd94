"""The portal's own environment for Alembic: their scripts, our connection, limits and one transaction each."""

import os
import time

from alembic import context
from sqlalchemy import create_engine, pool, text

started: dict[str, float] = {}


def said(ctx, step, heads, run_args) -> None:
    now = time.monotonic()
    seconds = now - started.setdefault("last", BEGAN)
    started["last"] = now
    print(f"@applied {step.up_revision_id} {seconds:.3f}", flush=True)


BEGAN = time.monotonic()
engine = create_engine(os.environ["PORTAL_TARGET_URL"], poolclass=pool.NullPool)
with engine.connect() as connection:
    connection.execute(text(f"set lock_timeout = {int(os.environ['PORTAL_LOCK_MS'])}"))
    connection.execute(text(f"set statement_timeout = {int(os.environ['PORTAL_STATEMENT_MS'])}"))
    connection.commit()
    context.configure(
        connection=connection,
        transaction_per_migration=True,
        on_version_apply=said,
        version_table=os.environ["PORTAL_VERSION_TABLE"],
    )
    with context.begin_transaction():
        context.run_migrations()
