"""The test database of each worker, as a copy of one that the first worker migrated."""

from django.conf import settings
from django.db import connection
from psycopg import sql

NAME = "migrated_for_tests"


def copy_for(run: str) -> None:
    """Lets Django make this worker's test database from the one that `run` of pytest migrated.

    Migrating takes two seconds of a processor, a copy takes a fifth of one; what Django does after
    migrations it does in each copy all the same. A server that is not ours keeps the
    one database until the next run.
    """
    with connection.creation._nodb_cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(hashtext(%s))", [NAME])  # until the cursor closes
        cursor.execute(
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s",
            [NAME],
        )
        if cursor.fetchone() != (run,):
            _migrate()
            cursor.execute(
                sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(NAME), run)
            )
    connection.settings_dict["TEST"]["TEMPLATE"] = NAME


def _migrate() -> None:
    real, test = connection.settings_dict["NAME"], connection.settings_dict["TEST"]
    name, test["NAME"] = test["NAME"], NAME
    try:
        connection.creation.create_test_db(verbosity=0, autoclobber=True)
    finally:
        connection.close()
        test["NAME"] = name
        settings.DATABASES["default"]["NAME"] = connection.settings_dict["NAME"] = real
