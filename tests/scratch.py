"""A database of its own for measurements and faults outside pytest, safe on disk as the portal's
own is.

Import it before any model: it starts PostgreSQL (or takes DATABASE_URL's server) and sets Django
up.
"""

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import django

from portal.server.embedded_postgres import start

if "DATABASE_URL" not in os.environ:
    _directory = Path(tempfile.mkdtemp(prefix="portal-scratch-"))
    os.environ["PORTAL_VAR_DIR"] = str(_directory)
    _server = start(_directory / "postgres")
    os.environ["DATABASE_URL"] = _server.url

    @atexit.register
    def _stop() -> None:
        _server.stop()
        shutil.rmtree(_directory, ignore_errors=True)


os.environ["ALLOW_SUPERUSER_DATABASE"] = "1"  # what is measured and broken here needs one
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
