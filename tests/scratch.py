"""A database of its own for measurements and fault injection outside pytest.

Import it before any model: it starts PostgreSQL (or takes DATABASE_URL's server) and sets Django up.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import django

import tests.postgres  # noqa: F401 -- sets DATABASE_URL, which Django's settings read

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
django.setup()

from django.db import connection  # noqa: E402


@contextmanager
def scratch_database() -> Iterator[None]:
    """Makes and migrates a test database, and drops it afterwards."""
    name = connection.settings_dict["NAME"]
    connection.creation.create_test_db(verbosity=0, autoclobber=True)
    try:
        yield
    finally:
        connection.creation.destroy_test_db(name, verbosity=0)
