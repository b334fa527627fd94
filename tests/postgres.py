"""Starts PostgreSQL for the test run, before Django reads its settings; loaded by `-p` in pyproject.toml."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from portal.embedded_postgres import start

if "DATABASE_URL" not in os.environ:
    _directory = Path(tempfile.mkdtemp(prefix="portal-tests-"))
    os.environ["PORTAL_VAR_DIR"] = str(_directory)
    _server = start(_directory / "postgres", fsync=False)
    os.environ["DATABASE_URL"] = _server.url

    @atexit.register
    def _stop() -> None:
        _server.stop()
        shutil.rmtree(_directory, ignore_errors=True)
