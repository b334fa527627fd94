"""`manage.py run`: everything the portal needs, under one supervisor, until Ctrl-C.

PostgreSQL (unless DATABASE_URL is set), the stand-ins for GitHub and Railway (unless a token for one is set), the
worker and the web server. Whatever way the supervisor ends, its children end with it.
"""

import json
import os
import secrets
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import FrameType

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError

from portal.embedded_postgres import Server, StartError, start
from portal.processes import spawn, stop_group

MANAGE = [sys.executable, str(settings.BASE_DIR / "manage.py")]
CREDENTIALS = ("GITHUB_TOKEN", "GITHUB_APP_ID", "RAILWAY_API_TOKEN", "RAILWAY_TOKEN")
LOOK_SECONDS = 0.25
START_SECONDS = 60.0
STOP_SECONDS = 6.0
MAX_BACK_OFF = 30.0
STEADY_SECONDS = 60.0


class Command(BaseCommand):
    help = "Starts the portal with all it needs: database, stand-ins when no token is set, worker, web server."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address to serve on (127.0.0.1)")
        parser.add_argument("--port", type=int, default=8000, help="port to serve on (8000)")
        parser.add_argument("--prepare", action="store_true", help="only bring tables and roles up to date")

    def handle(self, *, host: str, port: int, prepare: bool, **options: object) -> None:
        if prepare:
            return prepare_database()
        refuse_taken_port(host, port)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, _leave)
        supervisor = Supervisor(host, port, dict(os.environ))
        try:
            supervisor.start()
            supervisor.watch()
        except StartError as error:
            raise CommandError(str(error)) from None
        finally:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            supervisor.stop()


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


def prepare_database() -> None:
    """Migrates and makes the roles; a database that does not answer is said in one sentence."""
    try:
        call_command("migrate", verbosity=0, interactive=False)
    except OperationalError as error:
        raise CommandError(f"The database does not answer: {str(error).strip().splitlines()[0]}") from None
    if find_spec("portal.roles"):
        from portal.roles import ensure

        ensure()


def refuse_taken_port(host: str, port: int, seconds: float = 2.0) -> None:
    """Raises `CommandError` when the port stays taken; the last run's server gets a moment to go."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                return probe.bind(address)
        except (OSError, OverflowError) as error:
            if time.monotonic() > deadline or isinstance(error, OverflowError | socket.gaierror):
                raise CommandError(
                    f"Cannot serve on {host} port {port} ({getattr(error, 'strerror', None) or error}); "
                    f"stop what uses it, or choose another: make run PORT={port + 1 if port < 65535 else 8000}"
                ) from None
            time.sleep(0.1)


@dataclass
class Child:
    """One supervised program: how to start it, and how it fares."""

    name: str
    command: list[str]
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    back_off: float = 0.0
    due: float = 0.0


class Supervisor:
    """Starts the parts in order, starts again what dies, stops them in reverse."""

    def __init__(self, host: str, port: int, env: dict[str, str]) -> None:
        self.host, self.port, self.env = host, port, env
        shown = f"[{host}]" if ":" in host else "127.0.0.1" if host == "0.0.0.0" else host  # noqa: S104
        self.url = f"http://{shown}:{port}"
        self.env.setdefault("PORTAL_URL", self.url)
        self.sandboxed = not any(env.get(name, "").strip() for name in CREDENTIALS)
        self.database: Server | None = None
        self.children: dict[str, Child] = {}

    def start(self) -> None:
        """All parts, up to the first page; then says where it is."""
        settings.VAR_DIR.mkdir(parents=True, exist_ok=True)
        if not self.env.get("DATABASE_URL"):
            self.database = start(settings.VAR_DIR / "postgres")
            self.env["DATABASE_URL"] = self.database.url
        self.manage("run", "--prepare")
        if self.sandboxed:
            self.start_sandbox()
            self.manage("seed_sandbox")
        self.begin("worker", [*MANAGE, "worker"])
        bind = f"[{self.host}]" if ":" in self.host else self.host
        gunicorn = ["-m", "gunicorn", "-c", "python:portal.gunicorn", "-b", f"{bind}:{self.port}"]
        self.begin("web", [sys.executable, *gunicorn, "--log-level", "warning", "portal.wsgi"])
        self.await_first_page()
        say(f"Release portal: {self.url}/   (Ctrl-C stops it)")
        if not self.sandboxed:
            say(f"First user: {Path(sys.executable).name} manage.py createsuperuser")

    def manage(self, *arguments: str) -> None:
        """Runs one management command to its end; raises `CommandError` when it fails."""
        process = spawn([*MANAGE, *arguments], env=self.env, cwd=settings.BASE_DIR)
        try:
            code = process.wait()
        except BaseException:
            stop_group(process.pid, patience=1)
            process.wait()
            raise
        if code:
            raise CommandError(f"The portal did not start: manage.py {' '.join(arguments)} failed, see above.")

    def start_sandbox(self) -> None:
        """The stand-ins on the ports of last time, and what web and worker need to reach them."""
        state = settings.VAR_DIR / "sandbox"
        state.mkdir(parents=True, exist_ok=True)
        for name in ("GITHUB_WEBHOOK_SECRET", "RAILWAY_WEBHOOK_SECRET"):
            self.env[name] = remembered(state / name.lower(), lambda: secrets.token_urlsafe(32))
        self.env |= {"GITHUB_TOKEN": "sandbox-github-token", "RAILWAY_API_TOKEN": "sandbox-railway-token"}
        github, railway = (free_port(state / f"{name}_port") for name in ("github", "railway"))
        ports = ["--github-port", str(github), "--railway-port", str(railway)]
        self.begin("sandbox", [*MANAGE, "sandbox", *ports])
        addresses = self.sandbox_addresses()
        self.env["GITHUB_API_URL"], self.env["GITHUB_GIT_URL"] = addresses["github"], addresses["git"]
        self.env["RAILWAY_API_URL"] = addresses["railway"]

    def sandbox_addresses(self) -> dict[str, str]:
        """The JSON line that the stand-ins print when they are ready; the rest of their output is forwarded."""
        process = self.children["sandbox"].process
        assert process and process.stdout
        selector = selectors.DefaultSelector()
        selector.register(process.stdout, selectors.EVENT_READ)
        deadline = time.monotonic() + START_SECONDS
        while selector.select(max(0.0, deadline - time.monotonic())) and (line := process.stdout.readline()):
            try:
                answer = json.loads(line)
            except ValueError:
                say(line.decode(errors="replace").rstrip(), "sandbox")
                continue
            if isinstance(answer, dict) and answer.get("ready"):
                forward(self.children["sandbox"])
                return answer
        raise CommandError("The stand-ins for GitHub and Railway did not start; see above.")

    def begin(self, name: str, command: list[str]) -> None:
        """Starts the part `name`; the sandbox's output is forwarded only after its first line was read."""
        child = self.children.setdefault(name, Child(name, command))
        child.process = spawn(command, env=self.env, cwd=settings.BASE_DIR, output=subprocess.PIPE)
        again, child.started = child.started > 0, time.monotonic()
        if name != "sandbox" or again:
            forward(child)

    def await_first_page(self) -> None:
        """Returns when the web server answers anything at all."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen(f"{self.url}/healthz", timeout=5).close()  # noqa: S310 - our own http address
                return
            except urllib.error.HTTPError:
                return
            except OSError:
                process = self.children["web"].process
                if process is None or process.poll() is not None:
                    break
                time.sleep(0.1)
        raise CommandError("The web server did not start; see above.")

    def watch(self) -> None:
        """Starts again what dies, a little later each time it dies young. Ends by a signal only."""
        while True:
            time.sleep(LOOK_SECONDS)
            if self.database and not self.database.is_alive:
                say("The database ended by itself; it is started again.")
                self.database.stop()
                self.database = start(settings.VAR_DIR / "postgres")
                if self.env["DATABASE_URL"] != self.database.url:  # its port was taken meanwhile
                    self.env["DATABASE_URL"] = self.database.url
                    self.stop_children()
            for child in self.children.values():
                self.keep(child, time.monotonic())

    def keep(self, child: Child, now: float) -> None:
        """Starts `child` again when it is dead and its back-off is over."""
        if child.process and child.process.poll() is not None:
            stop_group(child.process.pid, patience=0)
            child.back_off = (
                0.5 if now - child.started > STEADY_SECONDS else min(MAX_BACK_OFF, child.back_off * 2 or 0.5)
            )
            say(f"{child.name} ended ({child.process.returncode}); it is started again in {child.back_off:.0f} s.")
            child.process, child.due = None, now + child.back_off
        elif child.process is None and now >= child.due:
            self.begin(child.name, child.command)

    def stop(self) -> None:
        """Web and worker, then the stand-ins, then the database: within about ten seconds."""
        self.stop_children()
        if self.database:
            self.database.stop(timeout=3)

    def stop_children(self) -> None:
        """Asks all at once, stand-ins last, and waits for each."""
        for child in reversed(self.children.values()):
            if child.process and child.process.poll() is None and child.name != "sandbox":
                child.process.terminate()
        deadline = time.monotonic() + STOP_SECONDS + 1
        for child in reversed(self.children.values()):
            if child.process:
                # Already asked, all but the stand-ins: asking twice would cut a graceful stop short.
                number = signal.SIGTERM if child.name == "sandbox" else 0
                stop_group(child.process.pid, patience=max(1.0, deadline - time.monotonic()), politely=number)
                child.process.wait()
                child.process = None


def forward(child: Child) -> None:
    """Prints what `child` prints, line by line with its name in front, from a thread that ends with it."""
    stream = child.process.stdout if child.process else None
    assert stream

    def copy() -> None:
        with stream:
            for line in stream:
                say(line.decode(errors="replace").rstrip(), child.name)

    threading.Thread(target=copy, daemon=True).start()


def say(text: str, name: str = "portal") -> None:
    print(f"{name:7} | {text}", flush=True)


def remembered(path: Path, make: Callable[[], str]) -> str:
    """The text of the file `path`, made once and kept readable by us alone."""
    if not path.exists():
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(make())
    return path.read_text().strip()


def free_port(path: Path) -> int:
    """The port written in `path` if it is free, else another, which is written there."""
    port = int(path.read_text()) if path.exists() else 0
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        path.write_text(str(probe.getsockname()[1]))
        return probe.getsockname()[1]
