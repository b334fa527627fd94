"""Alembic's environment for every project: their scripts, our connection, none of their packages.

Run by Alembic inside `child.py`, which leaves what to do in `config.attributes["run"]`.
"""

import runpy
from pathlib import Path
from typing import Any

from alembic import context
from sqlalchemy import MetaData, create_engine, event
from sqlalchemy.pool import NullPool

MAX_CHARACTERS = 2000
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
    """Limit waits for locks and long statements, and stop once nobody listens any more."""
    connection.autocommit = True
    connection.execute(f"set lock_timeout = {int(run['lock_timeout_ms'])}")
    connection.execute(f"set statement_timeout = {int(run['statement_timeout_ms'])}")
    if connection.info.server_version >= 140000:
        connection.execute("set client_connection_check_interval = '1s'")
    for name, value in run["notices_a_lost_host"].items():
        connection.execute(f"set {name} = {int(value)}")
    connection.autocommit = False
    run["emit"]({"backend": connection.info.backend_pid})


def hear_what_stays() -> None:
    """Emit `{"kept": [statement, …]}` whenever statements can no longer be rolled back: outside a
    transaction, and before an `autocommit_block`, which commits them. Emit `{"alone": statement}`
    before one is sent outside a transaction: if its answer is lost, nobody knows of it.
    """
    open_ones: list[str] = []
    emit, version_table = run["emit"], run["version_table"]

    def before(connection: Any, _cursor: object, statement: str, *_: object) -> None:
        if connection.connection.dbapi_connection.autocommit:
            emit({"alone": statement.strip()[:MAX_CHARACTERS]})

    def after(connection: Any, _cursor: object, statement: str, *_: object) -> None:
        words = statement.split(None, 1)
        if not words or words[0].lower() in ("select", "show", "set") or version_table in statement:
            return
        open_ones.append(statement.strip()[:MAX_CHARACTERS])
        if connection.connection.dbapi_connection.autocommit:
            told()

    def told(*_: object) -> None:
        if open_ones:
            emit({"kept": list(open_ones)})
        open_ones.clear()

    event.listen(engine, "before_cursor_execute", before)
    event.listen(engine, "after_cursor_execute", after)
    event.listen(engine, "commit", told)
    event.listen(engine, "rollback", lambda *_: open_ones.clear())


hear_what_stays()
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
