"""A second database on the server of the tests, for what is about the migrations themselves."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from django.db import connections
from django.db.migrations.executor import MigrationExecutor
from psycopg import sql


@contextmanager
def other_database(alias: str) -> Iterator[None]:
    """Provide an empty database under `alias` in `connections`; drop it at the end."""
    known = connections["default"].settings_dict
    name = f"{known['NAME']}_{alias}"[-60:]
    made = sql.Identifier(name)
    with psycopg.connect(**_server(known), autocommit=True) as server:
        server.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(made))
        server.execute(sql.SQL("CREATE DATABASE {}").format(made))
        connections.databases[alias] = {**known, "NAME": name}
        try:
            yield
        finally:
            connections[alias].close()
            del connections[alias], connections.databases[alias]
            server.execute(sql.SQL("DROP DATABASE {}").format(made))


def as_it_was(alias: str) -> MigrationExecutor:
    """Return an executor that knows each landed migration by its name, and no squashed one."""
    executor = MigrationExecutor(connections[alias])
    executor.loader.replace_migrations = False
    executor.loader.build_graph()
    return executor


def _server(known: dict) -> dict:
    return {
        "host": known["HOST"],
        "port": known["PORT"],
        "user": known["USER"],
        "password": known["PASSWORD"],
        "dbname": "postgres",
    }
