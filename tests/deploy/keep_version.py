"""Keeps a version's database, with data, for `test_upgrade`: made by that version's own code.

`python -m tests.deploy.keep_version REVISION [NAME]` writes `versions/NAME.sql.gz`: a dump in which
that version created its tables and a release under way. Run it for each version that is tagged;
what is kept needs no history of git any more.
"""

import gzip
import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VERSIONS = Path(__file__).with_name("versions")
MIGRATION = "-- migration "  # before the path and the SHA-256 of each migration that it had
SECRET_KEY = "k" * 50
FILL = """
from tests.factory import make_people, make_project, make_promotion, make_release
people = make_people()
project = make_project("inspector")
release = make_release(project, by=people["alice"], ready=True)
make_promotion(release, by=people["alice"], at="deploy", failed=True)
"""


def manage(code: Path, database: str, directory: Path, *arguments: str) -> str:
    """Run a command of the portal in `code` on `database`; return what it printed."""
    env = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    env |= {"PORTAL_VAR_DIR": str(directory), "PORTAL_ENV_FILE": os.devnull}
    env |= {"SECRET_KEY": SECRET_KEY, "DATABASE_URL": database, "ALLOW_SUPERUSER_DATABASE": "1"}
    command = [sys.executable, "manage.py", *arguments]
    done = subprocess.run(command, cwd=code, env=env, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main(revision: str, name: str = "") -> int:
    """Write the dump; 0."""
    from portal.server.embedded_postgres import start
    from portal.server.postgres_wheel import binaries

    with tempfile.TemporaryDirectory() as directory:
        code, var = Path(directory) / "code", Path(directory) / "var"
        code.mkdir()
        packed = subprocess.run(
            ["git", "archive", revision], cwd=ROOT, capture_output=True, check=True
        )
        subprocess.run(["tar", "-x", "-C", code], input=packed.stdout, check=True)
        server = start(Path(directory) / "postgres", fsync=False)
        try:
            manage(code, server.url, var, "migrate", "--verbosity=0")
            manage(code, server.url, var, "shell", "-c", FILL)
            dump = [str(binaries() / "pg_dump"), "--no-owner", "--no-privileges", "--no-comments"]
            done = subprocess.run([*dump, server.url], capture_output=True, check=True)
        finally:
            server.stop()
        told = [
            f"{MIGRATION}{path.relative_to(code)} {digest(path)}\n"
            for path in sorted(code.glob("*/migrations/0*.py"))
        ]
        # These differ at each run, and an older psql does not know them.
        own = (b"\\restrict", b"\\unrestrict")
        lines = [line for line in done.stdout.splitlines(True) if not line.startswith(own)]
        whole = "".join(told).encode() + b"".join(lines)
        (VERSIONS / f"{name or revision}.sql.gz").write_bytes(gzip.compress(whole, mtime=0))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
