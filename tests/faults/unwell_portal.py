"""A portal as it runs on a platform: web server and worker apart, with directories of their own."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import psycopg

from portal.server.embedded_postgres import Server, start
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
LIMIT_SECONDS = 60.0
Row = tuple[str, float, float, float]


class Portal:
    """A web server and a worker on one database, in processes and directories of their own."""

    def __init__(
        self,
        directory: Path,
        *,
        worker_files: Path | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.directory, self.port, self.settings = directory, free_port(), settings or {}
        self.server: Server = start(directory / "postgres")
        self.worker_files = worker_files or directory / "worker-files"
        self.parts: dict[str, subprocess.Popen[bytes]] = {}
        self.manage("migrate", "--verbosity=0", files=directory / "web-files").wait()
        self.parts["web"] = self.manage(
            "web", f"--port={self.port}", "--host=127.0.0.1", files=directory / "web-files"
        )
        self.begin_worker()

    def manage(self, *arguments: str, files: Path) -> "subprocess.Popen[bytes]":
        """A management command with this portal's settings, and only those."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if name in ("PATH", "HOME", "LANG", "TZ")
        }
        env = kept | {
            "ALLOW_SUPERUSER_DATABASE": "1",
            "DATABASE_URL": self.server.url,
            "PORTAL_VAR_DIR": str(files),
            "PORTAL_ENV_FILE": os.devnull,
        }
        env |= {"SECRET_KEY": "x" * 50, "SANDBOX": "0"} | self.settings
        files.mkdir(exist_ok=True)
        log = (self.directory / f"{arguments[0]}.log").open("ab")
        command = [sys.executable, "manage.py", *arguments]
        return subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log)

    def begin_worker(self) -> None:
        self.parts["worker"] = self.manage("worker", files=self.worker_files)

    def states(self) -> dict[str, str]:
        """Check → state, as `/health/ready` says; what is served but cannot be read is an empty
        answer.
        """
        try:
            body = urllib.request.urlopen(
                f"http://127.0.0.1:{self.port}/health/ready", timeout=15
            ).read()
        except urllib.error.HTTPError as error:
            body = error.read()
        except OSError:
            return {}
        worst: dict[str, str] = {}
        for one in json.loads(body)["checks"]:
            order = ["ok", "unknown", "warning", "failing"]
            worst[one["check"]] = max(one["state"], worst.get(one["check"], "ok"), key=order.index)
        return worst

    def events(self, action: str, check: str) -> int:
        """How many events of this kind the trail holds."""
        with (
            suppress(psycopg.Error),
            psycopg.connect(self.server.url, connect_timeout=3) as connection,
        ):
            asked = (
                "SELECT count(*) FROM portal_auditevent WHERE action = %s AND data::json->>'check'"
                " = %s"
            )
            return connection.execute(asked, [action, check]).fetchone()[0]  # type: ignore[index]
        return 0

    def restart_database(self) -> None:
        """Stops PostgreSQL as a crash does and starts it on the same port."""
        self.server.stop()
        self.server = start(self.directory / "postgres")

    def end(self) -> None:
        for part in self.parts.values():
            with suppress(ProcessLookupError):
                part.send_signal(signal.SIGCONT)
            part.terminate()
        for part in self.parts.values():
            part.wait(30)
        self.server.stop()


def seconds_until(condition: Callable[[], bool], limit: float = 2 * LIMIT_SECONDS) -> float:
    """Seconds until `condition` holds; infinite if it does not within `limit`."""
    started = time.monotonic()
    while time.monotonic() - started < limit:
        if condition():
            return time.monotonic() - started
        time.sleep(0.25)
    return float("inf")
