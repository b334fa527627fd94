"""Empties the tables after a transactional test, as Django does, at a third of its price.

Django truncates a hundred tables, most of which are empty, and has content types, permissions,
roles and checklists written anew. Here only what a test wrote is deleted, as long as those rows are
what `post_migrate` made of them; otherwise it goes Django's way.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from django.core.management.commands import flush as command
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.operations import BaseDatabaseOperations

from tests.chain import TABLES as CHAIN
from tests.chain import start_over

# What `post_migrate` fills, and nothing else does.
MADE = (
    *("django_content_type", "auth_permission", "auth_group", "auth_group_permissions"),
    *("releases_checklisttemplate", "releases_checklisttemplateitem"),
)


@contextmanager
def quick_emptying() -> Iterator[None]:
    """Let Django's `flush` delete only what is there."""
    every, signal = BaseDatabaseOperations.execute_sql_flush, command.emit_post_migrate_signal
    made = dict[object, str]()  # database → what `post_migrate` made there

    def flush(ops: BaseDatabaseOperations, statements: Collection[str]) -> None:
        connection = ops.connection
        name = connection.settings_dict["NAME"]
        if statements and name in made and made[name] == _as_made(connection):
            _delete(connection)
            return
        made.pop(name, None)
        with start_over(connection):
            every(ops, statements)

    def emit(verbosity: int, interactive: bool, database: str, **rest: object) -> None:
        connection = command.connections[database]
        name = connection.settings_dict["NAME"]
        if name not in made:
            signal(verbosity, interactive, database, **rest)
            made[name] = _as_made(connection)

    BaseDatabaseOperations.execute_sql_flush = flush
    command.emit_post_migrate_signal = emit
    try:
        yield
    finally:
        BaseDatabaseOperations.execute_sql_flush = every
        command.emit_post_migrate_signal = signal


def _as_made(connection: BaseDatabaseWrapper) -> str:
    """Return all that stands in the tables that `post_migrate` fills."""
    rows = " || ".join(
        f"(SELECT coalesce(md5(string_agg(t::text, '|' ORDER BY id)), '') FROM {table} t)"  # noqa: S608
        for table in MADE
    )
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {rows}")
        return cursor.fetchone()[0]


def _delete(connection: BaseDatabaseWrapper) -> None:
    tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
    asked = " UNION ALL ".join(
        f"SELECT '{table}' WHERE EXISTS (SELECT FROM \"{table}\")"  # noqa: S608
        for table in sorted({*tables} - {*MADE, *CHAIN})
    )
    with (
        transaction.atomic(using=connection.alias),
        start_over(connection),
        connection.cursor() as cursor,
    ):
        cursor.execute(asked)
        written = [table for (table,) in cursor.fetchall()]
        cursor.execute("SET LOCAL session_replication_role = replica")  # in whatever order
        for table in written:
            cursor.execute(f'DELETE FROM "{table}"')  # noqa: S608
        cursor.execute("SET LOCAL session_replication_role = origin")
