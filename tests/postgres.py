"""Starts PostgreSQL for the test run, before Django reads its settings; loaded by `-p` in
pyproject.toml.

With xdist the controller starts it and the workers inherit DATABASE_URL.
"""

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

from portal.server.embedded_postgres import start

# A developer's own settings have no say in tests, nor in the programs that tests start.
os.environ["PORTAL_ENV_FILE"] = os.devnull
# Tests do what only a superuser can, so the programs that they start are given one too.
os.environ["ALLOW_SUPERUSER_DATABASE"] = "1"
# Where images are built this is set, and then every worker and every program that a test starts
# would compile the portal again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

if "DATABASE_URL" not in os.environ:
    _directory = Path(tempfile.mkdtemp(prefix="portal-tests-"))
    os.environ["PORTAL_VAR_DIR"] = str(_directory)
    (
        _directory / "static"
    ).mkdir()  # WhiteNoise warns where there is none, in every test that loads the middleware
    _server = start(_directory / "postgres", fsync=False)
    os.environ["DATABASE_URL"] = _server.url

    @atexit.register
    def _stop() -> None:
        _server.stop()
        shutil.rmtree(_directory, ignore_errors=True)
