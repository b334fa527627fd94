"""Ships a release without a browser: database, stand-ins and worker are started, used and
stopped again.
"""

import json
import os
import shutil
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from environments.git.calls import GitError
from environments.git.repository import Mirror
from environments.schema.history.candidates import Snapshot, candidates
from portal.outbound.parsing import JsonObject
from portal.server import children, embedded_owner, embedded_postgres
from releases.demo.found import find

MANAGE = [sys.executable, str(settings.BASE_DIR / "manage.py")]
TOKENS = {
    "GITHUB_TOKEN": "sandbox-github-token",
    "RAILWAY_API_TOKEN": "sandbox-railway-token",
    "GITHUB_WEBHOOK_SECRET": "demo-webhook-secret",
    "RAILWAY_WEBHOOK_SECRET": "demo-webhook-secret",
}

STAND_INS_RUN = bool(os.environ.get("GITHUB_API_URL") and os.environ.get("RAILWAY_API_URL"))


class Command(BaseCommand):
    """On any local git repository, or on the sample.

    Stand-ins that run already are used by their URLs.
    """

    help = __doc__
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--repository", type=Path, help="a local git repository; without it the sample"
        )
        parser.add_argument("--staging", default="staging", help="the ref that staging runs")
        parser.add_argument("--production", default="main", help="the ref that production runs")
        parser.add_argument(
            "--alembic", default=None, help="alembic.ini or the script directory, in the repository"
        )
        parser.add_argument(
            "--command", default="", help="the project's own, which runs its migrations"
        )
        parser.add_argument(
            "--install", default="", help="what installs the packages that the command needs"
        )
        parser.add_argument(
            "--set", action="append", default=[], metavar="NAME=VALUE", help="a variable it needs"
        )
        parser.add_argument(
            "--version-table", default="", help="where the project keeps its revisions"
        )
        parser.add_argument(
            "--shape", action="append", default=[], help="what the project looks like"
        )
        parser.add_argument("--seconds", type=float, default=900, help="the longest it may take")
        parser.add_argument("--json", action="store_true", help="one JSON object on the last line")

    def handle(self, *args: object, **options: object) -> None:
        try:
            self._ship(options)
        except CommandError as error:
            if options["json"]:
                self.stdout.write(json.dumps({"ok": False, "problem": str(error)}))
                self.stdout.flush()
            raise

    def _ship(self, options: JsonObject) -> None:
        self._look(options)
        directory = Path(settings.VAR_DIR) / "demo"
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        with ExitStack() as stack:
            env = os.environ | {
                "PORTAL_VAR_DIR": str(directory),
                "SYNC_SECONDS": "1",
                "DEPLOY_GRACE_SECONDS": "20",
            }
            # Real tokens never reach the stand-ins that are started here; running ones may want
            # their own.
            env = TOKENS | env if STAND_INS_RUN else env | TOKENS
            # Never the database that DATABASE_URL names: the demo makes people with a known
            # password.
            server = embedded_owner.owned(embedded_postgres.start(directory / "postgres"))
            stack.callback(server.stop)
            env |= {"DATABASE_URL": server.url, "SANDBOX": "true"}
            self._run("migrate", "--verbosity", "0", env=env)
            ready = self._stand_ins(stack, env, directory, options)
            env |= {
                "GITHUB_API_URL": ready["github"],
                "GITHUB_GIT_URL": ready["git"],
                "RAILWAY_API_URL": ready["railway"],
            }
            env.setdefault("PORTAL_PACKAGE_HOSTS", ready.get("package_hosts", ""))
            option = f"--ready={json.dumps(ready)}"
            self._run("seed_sandbox", option, "--soak-minutes=0", "--no-webhooks", env=env)
            if ready.get("unfilled"):
                self._run("fill_demo", option, *_set(options), env=env)
            log = stack.enter_context((directory / "worker.log").open("ab"))
            worker = children.spawn([*MANAGE, "worker"], env=env, output=log)
            stack.callback(children.stop_group, worker.pid, patience=10)
            flags = ["--seconds", str(options["seconds"]), *(["--json"] if options["json"] else [])]
            ended = subprocess.run([*MANAGE, "ship_demo", *flags], env=env, check=False)
        if ended.returncode:
            raise SystemExit(ended.returncode)

    def _look(self, options: JsonObject) -> None:
        """Fill in what nobody said and the repository says itself: Alembic's path, the version
        table, and the project's own command where the portal's runner is not enough.
        """
        if not options["repository"] or STAND_INS_RUN:
            return
        mirror = Mirror(options["repository"].resolve())
        try:
            alembic = self._alembic(mirror, options)
            conventions = find(mirror, options["production"], options["staging"], alembic)
        except GitError as error:
            raise CommandError(str(error)) from None
        options["alembic"] = alembic
        options["version_table"] = options["version_table"] or conventions.version_table
        if options["command"]:
            options["install"] = options["install"] or conventions.install
        elif conventions.why and not conventions.install:
            raise CommandError(
                f"The portal's own runner cannot run these migrations, since {conventions.why},"
                " and no lock file in the repository says how the project is installed. Name its"
                " own command with --command, and what installs its packages with --install."
            )
        elif conventions.why:
            options["command"], options["install"] = conventions.command, conventions.install
            options["set"] = [
                f"{name}={value}" for name, value in conventions.variables.items()
            ] + (options["set"])
            self.stdout.write(
                f"The portal's own runner cannot run these migrations, since {conventions.why}; the"
                f" project's own command does. Installed by: {conventions.install}. Run by:"
                f" {conventions.command}"
            )
            self.stdout.flush()

    def _alembic(self, mirror: Mirror, options: JsonObject) -> str:
        """Return Alembic's path as it was given, or the one that the repository has."""
        if options["alembic"] is not None:
            return _inside(options["repository"], options["alembic"])
        with mirror.objects() as objects:
            held = candidates(Snapshot(objects, mirror.commit(options["staging"])))
        paths = held.configurations or held.scripts
        return min(paths, key=lambda path: (path.count("/"), path), default="")

    def _run(self, *command: str, env: dict[str, str]) -> None:
        done = subprocess.run(
            [*MANAGE, *command], env=env, capture_output=True, text=True, check=False
        )
        if done.returncode:
            output = done.stderr.strip()[-2000:]
            last = output.rpartition("\n")[2]
            known = last.startswith("CommandError: ")
            raise CommandError(last[14:] if known else f"{command[0]} failed: {output}")

    def _stand_ins(
        self, stack: ExitStack, env: dict[str, str], directory: Path, options: JsonObject
    ) -> JsonObject:
        """Return what the running stand-ins say of themselves; starts them unless their URLs are
        given.
        """
        if STAND_INS_RUN:
            return running_stand_ins(options)
        command = [*MANAGE, "sandbox", "--directory", str(directory / "sandbox")]
        if options["repository"]:
            command += ["--repository", str(options["repository"].resolve())]
            command += ["--staging", options["staging"], "--production", options["production"]]
            if options["alembic"] is not None:
                command += ["--alembic", _inside(options["repository"], options["alembic"])]
        for name in ("command", "install", "version_table"):
            command += [f"--{name.replace('_', '-')}={options[name]}"] if options[name] else []
        command += ["--unfilled"] if options["repository"] else []
        command += _set(options)
        command += [part for name in options["shape"] for part in ("--shape", name)]
        log = stack.enter_context((directory / "sandbox.log").open("wb"))
        reader, writer = os.pipe()
        sandbox = children.spawn(command, env=env, output=writer)
        os.close(writer)
        stack.callback(children.stop_group, sandbox.pid, patience=10)
        message = []
        with os.fdopen(reader) as lines:
            for line in lines:
                log.write(line.encode())
                if line.startswith("{"):
                    return json.loads(line)
                message.append(line.strip())
        raise CommandError(f"The stand-ins did not start: {' '.join(message)[-2000:]}")


def _set(options: JsonObject) -> list[str]:
    return [f"--set={option}" for option in options["set"]]


def running_stand_ins(options: Mapping[str, object]) -> dict[str, object]:
    """Return the same facts, asked of stand-ins that somebody else started."""
    import httpx

    github = os.environ["GITHUB_API_URL"].rstrip("/")
    ready = httpx.get(f"{github}/_sandbox/ready", timeout=10).raise_for_status().json()
    return ready | {"github": github, "railway": os.environ["RAILWAY_API_URL"]}


def _inside(repository: Path, path: str) -> str:
    """Return `path` as it stands in the repository, also of one from the file system's root."""
    given = Path(path)
    return str(given.resolve().relative_to(repository.resolve())) if given.is_absolute() else path
