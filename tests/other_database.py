"""A second database on the server of the tests, for what is about the migrations themselves."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from django.db import connections
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.state import ProjectState
from django.test import override_settings
from psycopg import sql


class Only:
    """A router to one database, because a landed migration names none and would ask the default."""

    def __init__(self, alias: str) -> None:
        self.alias = alias

    def db_for_read(self, model: object, **hints: object) -> str:
        return self.alias

    db_for_write = db_for_read


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
            with override_settings(DATABASE_ROUTERS=[Only(alias)]):
                yield
        finally:
            connections[alias].close()
            del connections[alias], connections.databases[alias]
            server.execute(sql.SQL("DROP DATABASE {}").format(made))


def migrate_as_it_was(alias: str, targets: list[tuple[str, str]]) -> ProjectState:
    """Migrate to `targets` by the landed migrations, as if none was squashed; return the state."""
    executor = MigrationExecutor(connections[alias])
    executor.loader.replace_migrations = False
    executor.loader.build_graph()
    return executor.migrate(targets)


def _server(known: dict) -> dict:
    return {
        "host": known["HOST"],
        "port": known["PORT"],
        "user": known["USER"],
        "password": known["PASSWORD"],
        "dbname": "postgres",
    }
