"""A migrated database of its own for measurements and fault injection outside pytest."""

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def scratch_database() -> Iterator[None]:
    """Starts PostgreSQL (or uses DATABASE_URL's server); makes, migrates and later drops a test database."""
    import tests.postgres  # noqa: F401 -- sets DATABASE_URL before Django reads its settings

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    import django

    django.setup()
    from django.db import connection

    name = connection.settings_dict["NAME"]
    connection.creation.create_test_db(verbosity=0, autoclobber=True)
    try:
        yield
    finally:
        connection.creation.destroy_test_db(name, verbosity=0)
