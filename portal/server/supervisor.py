"""Everything the portal needs, under one supervisor, until Ctrl-C: `manage.py run`.

PostgreSQL (unless DATABASE_URL is set), the stand-ins for GitHub and Railway (only where
`portal.modes` says that the sandbox is asked for), the worker and the web server. However the
supervisor ends, its children end with it.

It decides the whole environment before Django reads it, then loads Django once and forks worker and
web server from there: that halves the time to the first page, and the memory. So it must stay free
of threads.
"""

import json
import os
import selectors
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from portal.database_role import refusal
from portal.environ import remembered_secret
from portal.modes import CREDENTIALS, WrongMode, asks_for_sandbox, settle
from portal.outbound.parsing import JsonObject
from portal.server.children import fork, forks_die_with_us, has_ended, spawn, stop_group
from portal.server.embedded_owner import owned
from portal.server.embedded_postgres import Server, start
from portal.server.postgres_wheel import StartError
from portal.server.private_files import keep_private

BASE_DIR = Path(__file__).resolve().parent.parent.parent
LOOK_SECONDS = 0.25
START_SECONDS = 60.0
STOP_SECONDS = 7.0
MAX_BACK_OFF = 30.0
STEADY_SECONDS = 60.0


@dataclass
class Child:
    """One supervised program: how to start it, given its output's descriptor, and how it fares."""

    name: str
    begin: Callable[[int], int]
    pid: int = 0  # 0: not running
    started: float = 0.0
    back_off: float = 0.0
    due: float = 0.0
    rest: bytes = b""  # a line not yet whole
    ready: JsonObject = field(default_factory=dict)  # what it said when it was ready, if it says so


class Supervisor:
    """Starts the parts, forwards what they print, starts again what dies, stops them in reverse."""

    def __init__(self, host: str, port: int, shape: Sequence[str] = ()) -> None:
        self.host, self.port, self.shape = host, port, shape
        near = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
        self.url = f"http://[{near}]:{port}" if ":" in near else f"http://{near}:{port}"
        self.var = Path(os.environ.get("PORTAL_VAR_DIR") or BASE_DIR / "var").resolve()
        self.sandboxed = asks_for_sandbox(os.environ)
        self.database: Server | None = None
        self.children: dict[str, Child] = {}
        self.output = selectors.DefaultSelector()

    def start(self) -> None:
        """Start all parts, up to the first page; then say where it is."""
        forks_die_with_us()
        keep_private(self.var)
        os.environ.setdefault("PORTAL_URL", self.url)
        self.remember_mode()
        if not os.environ.get("DATABASE_URL"):
            self.database = owned(start(self.var / "postgres"))
            os.environ["DATABASE_URL"] = self.database.url
        if self.sandboxed:
            self.start_sandbox()
        self.prepare()
        self.run("worker", lambda output: fork(partial(self._apart, _work), output=output))
        self.run("web", lambda output: fork(partial(self._apart, self._serve), output=output))
        self.await_first_page()
        if not self.sandboxed:
            for service, names in (("GitHub", CREDENTIALS[:2]), ("Railway", CREDENTIALS[2:])):
                if not any(os.environ.get(name, "").strip() for name in names):
                    see = "see .env.example, and the page Connections."
                    _say(f"No credential is set for {service}; {see}")
        _say(f"Release portal: {self.url}/  (Ctrl-C stops it)")

    def remember_mode(self) -> None:
        """Mark the directory of a real portal: one whose settings have vanished must not become a
        sandbox, and its database, which would tell, may lie elsewhere.
        """
        mark = self.var / "real"
        if self.sandboxed and mark.exists():
            raise WrongMode(
                f"A real portal ran in {self.var}, and its settings are gone: restore .env or the"
                " environment. To try the sandbox, use another directory:"
                " PORTAL_VAR_DIR=DIRECTORY."
            )
        if not self.sandboxed:
            self.var.mkdir(parents=True, exist_ok=True)
            mark.touch()
            os.environ["SANDBOX"] = "false"

    def start_sandbox(self) -> None:
        """Start the stand-ins, on the ports of last time; tell web and worker how to reach them."""
        for name in ("GITHUB_WEBHOOK_SECRET", "RAILWAY_WEBHOOK_SECRET"):
            os.environ[name] = remembered_secret(self.var / "sandbox" / name.lower())
        os.environ |= {
            "GITHUB_TOKEN": "sandbox-github-token",
            "RAILWAY_API_TOKEN": "sandbox-railway-token",
            "SANDBOX": "true",
        }
        command: list[str | Path] = [sys.executable, BASE_DIR / "manage.py", "sandbox"]
        command += [part for name in self.shape for part in ("--shape", name)]
        child = self.run("sandbox", lambda output: spawn(command, cwd=BASE_DIR, output=output).pid)
        failure = "The stand-ins for GitHub and Railway did not start"
        self.forward_until(lambda: bool(child.ready), "sandbox", failure)
        os.environ |= {
            "GITHUB_API_URL": child.ready["github"],
            "GITHUB_GIT_URL": child.ready["git"],
            "RAILWAY_API_URL": child.ready["railway"],
        }

    def prepare(self) -> None:
        """Make tables, roles and, in the sandbox, users and a sample; what is there stays."""
        import alembic.script.revision  # noqa: F401 - shared by all who are forked from here
        import django
        from django.core.management import CommandError, call_command
        from django.db import OperationalError, connections

        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
        django.setup()
        from portal.accounts import roles

        try:
            connections["default"].ensure_connection()
            if message := refusal(connections["default"].connection):
                raise StartError(message)
            call_command("migrate", verbosity=0, interactive=False)
            roles.ensure()
            if not self.sandboxed:
                settle(sandbox=False)
            else:
                call_command("seed_sandbox", ready=json.dumps(self.children["sandbox"].ready))
        except OperationalError as error:
            first = str(error).strip().splitlines()[0]
            raise StartError(f"The database does not answer: {first}") from None
        except CommandError as error:
            raise StartError(str(error)) from None
        finally:
            connections.close_all()  # a fork must not share them

    def _apart(self, work: Callable[[], None]) -> None:
        """In a fork: let go of what is the supervisor's, above all the database's lock; `work`."""
        for key in list(self.output.get_map().values()):
            os.close(key.fd)
        self.output.close()
        if self.database and self.database.lock:
            os.close(self.database.lock)
        work()

    def _serve(self) -> None:
        from django.db import connections

        from portal.first_start import codes
        from portal.server.web import serve

        codes.announce()
        connections.close_all()  # the server forks once more
        serve(self.host, self.port)

    def await_first_page(self) -> None:
        """Return when the web server answers anything at all."""

        def answers() -> bool:
            try:
                urllib.request.urlopen(f"{self.url}/healthz", timeout=5).close()  # noqa: S310 - our own address
            except urllib.error.HTTPError:
                return True
            except OSError:
                return False
            return True

        self.forward_until(answers, "web", "The web server did not start")

    def run(self, name: str, begin: Callable[[int], int]) -> Child:
        """Start the part `name`, whose output is forwarded from now on."""
        child = self.children.setdefault(name, Child(name, begin))
        reader, writer = os.pipe()
        self.output.register(reader, selectors.EVENT_READ, child)
        try:
            child.pid = child.begin(writer)
        finally:
            os.close(writer)
        child.started = time.monotonic()
        return child

    def forward(self, seconds: float) -> None:
        """Print for at most `seconds` what the parts print, each line with the part's name."""
        if not self.output.get_map():
            return time.sleep(seconds)
        for key, _ in self.output.select(seconds):
            child: Child = key.data
            data = os.read(key.fd, 65536)
            *lines, child.rest = (child.rest + data).split(b"\n")
            if not data:
                self.output.unregister(key.fd)
                os.close(key.fd)
            for line in lines:
                if ready := _readiness(line):
                    child.ready = ready
                else:
                    _say(line.decode(errors="replace"), child.name)

    def forward_until(self, condition: Callable[[], bool], name: str, failure: str) -> None:
        """Forward until `condition`. Raise `StartError` with `failure` when the part `name` ends
        before, or takes too long.
        """
        deadline = time.monotonic() + START_SECONDS
        while not condition():
            self.forward(0.1)
            if has_ended(self.children[name].pid) or time.monotonic() > deadline:
                self.forward(0.1)
                raise StartError(f"{failure}; see above.")

    def watch(self) -> None:
        """Start again what dies, a little later each time it dies young. End by a signal only."""
        while True:
            self.forward(LOOK_SECONDS)
            if self.database and not self.database.is_alive:
                _say("The database ended by itself; it is started again.")
                self.database.stop()
                self.database = owned(start(self.var / "postgres"))
                if os.environ["DATABASE_URL"] != self.database.url:
                    raise StartError(
                        "The database's port was taken by another program; start the portal again."
                    )
            for child in self.children.values():
                self.keep(child, time.monotonic())

    def keep(self, child: Child, now: float) -> None:
        """Start `child` again when it is dead and its back-off is over."""
        if child.pid and has_ended(child.pid):
            stop_group(child.pid, patience=0)
            steady = now - child.started > STEADY_SECONDS
            child.back_off = (
                min(MAX_BACK_OFF, child.back_off * 2) if child.back_off and not steady else 0.5
            )
            child.pid, child.due = 0, now + child.back_off
            _say(
                f"The {child.name} ended by itself; it is started again in {child.back_off:.1f} s."
            )
        elif not child.pid and now >= child.due:
            self.run(child.name, child.begin)

    def stop(self) -> None:
        """Stop web and worker, then the stand-ins, then the database, in some ten seconds."""
        deadline = time.monotonic() + STOP_SECONDS
        parts = [child for child in self.children.values() if child.pid]
        parts.sort(key=lambda child: child.name == "sandbox")
        for child in parts:
            if child.name != "sandbox":
                with suppress(ProcessLookupError):
                    os.kill(child.pid, signal.SIGTERM)
        for child in parts:
            # Who was asked already is not asked again: that would cut a graceful stop short.
            politely = signal.SIGTERM if child.name == "sandbox" else 0
            stop_group(child.pid, patience=max(1.0, deadline - time.monotonic()), politely=politely)
            child.pid = 0
        while self.output.get_map():
            self.forward(0.1)
        if self.database:
            self.database.stop(timeout=3)


def _work() -> None:
    from django.core.management import call_command

    call_command("worker")


def _readiness(line: bytes) -> dict[str, object] | None:
    """Return the JSON object that a part prints when it is ready, or None for any other line."""
    try:
        answer = json.loads(line)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) and answer.get("ready") is True else None


def _say(text: str, name: str = "portal") -> None:
    """Print one line at the terminal; one that is gone must not stop us."""
    with suppress(OSError):
        sys.stdout.write(f"{name:7} | {text}\n")
        sys.stdout.flush()
