"""Alembic's environment for every project: their revision scripts, our connection, nothing of their
packages.

Run by Alembic inside `child.py`, which leaves what to do in `config.attributes["run"]`.
"""

import runpy
from pathlib import Path
from typing import Any

from alembic import context
from sqlalchemy import MetaData, create_engine, event
from sqlalchemy.pool import NullPool

run: dict[str, Any] = context.config.attributes["run"]
connect: dict[str, object] = {"application_name": run["application_name"], "connect_timeout": 10}
if not run.get("record"):  # a rehearsal has a record of its own
    executed = runpy.run_path(str(Path(run["environment"]) / "executed.py"))
    connect["cursor_factory"] = executed["cursor"](run, run["emit"])
engine = create_engine(
    run["url"],
    poolclass=NullPool,
    hide_parameters=True,  # values of rows do not belong into a log
    connect_args=connect,
)


@event.listens_for(engine, "connect")
def limit(connection: Any, _record: object) -> None:
    """Wait for locks shortly, cut long statements off, and stop once nobody listens."""
    connection.autocommit = True
    connection.execute(f"set lock_timeout = {int(run['lock_timeout_ms'])}")
    connection.execute(f"set statement_timeout = {int(run['statement_timeout_ms'])}")
    if connection.info.server_version >= 140000:
        connection.execute("set client_connection_check_interval = '1s'")
    for name, value in run["notices_a_lost_host"].items():
        connection.execute(f"set {name} = {int(value)}")
    connection.autocommit = False
    run["emit"]({"backend": connection.info.backend_pid})


kept = runpy.run_path(str(Path(run["environment"]) / "nontransactional.py"))
kept["listen"](engine, run["emit"], run["version_table"])
if run.get("record"):  # a rehearsal
    record = runpy.run_path(str(Path(run["environment"]) / "record.py"))
    record["Recorder"](run).listen(engine)

with engine.connect() as connection:
    for statement in run["before"]:  # what the project's own env.py sends first
        connection.exec_driver_sql(statement)
    connection.commit()
    context.configure(
        connection=connection,
        transaction_per_migration=True,
        version_table=run["version_table"],
        version_table_schema=run["version_table_schema"],
        target_metadata=MetaData(naming_convention=run["naming"]) if run["naming"] else None,
        **run["options"],
    )
    with context.begin_transaction():
        context.run_migrations()
