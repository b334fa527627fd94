"""The directory of a PostgreSQL server in which every migration has run, to begin a portal with.

Creating a server and migrating it takes three seconds of a processor. Tests that are about
something else begin with a copy of this one; from nothing start `manage.py run`
(tests/portal/server/test_run.py), the wheel and the oldest version (tests/deploy).
"""

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

from portal.server.embedded_postgres import start

MANAGE = Path(__file__).resolve().parents[1] / "manage.py"
OF_A_SERVER = shutil.ignore_patterns("lock", "url", "port", "log")


def copy_to(directory: Path, made_in: Path) -> None:
    """Fill `directory` with migrated data; they are made in `made_in` by the first who asks."""
    made_in.mkdir(parents=True, exist_ok=True)
    with (made_in / "making").open("w") as making:
        fcntl.flock(making, fcntl.LOCK_EX)
        if not (made_in / "migrated").exists():
            _migrate(made_in)
            (made_in / "migrated").touch()
    shutil.copytree(made_in / "postgres", directory, ignore=OF_A_SERVER)


def _migrate(made_in: Path) -> None:
    server = start(made_in / "postgres", fsync=False)
    try:
        env = os.environ | {"DATABASE_URL": server.url, "PORTAL_VAR_DIR": str(made_in / "var")}
        command = [sys.executable, str(MANAGE), "migrate", "--verbosity=0"]
        subprocess.run(command, env=env, check=True)
    finally:
        server.stop()
