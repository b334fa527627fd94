"""Both stand-ins over one project, as `manage.py sandbox` serves them."""

import functools
import json
import os
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from django.core.management.base import CommandError

from portal.outbound.parsing import JsonObject
from portal.sandbox import databases, days, furnish, own_command, sample, shapes
from portal.sandbox.github import GitHubStandIn
from portal.sandbox.railway import RailwayStandIn
from portal.sandbox.server import Request, Response, Server

OWNER = "acme"


class Sandbox:
    """Both stand-ins with everything they rest on; `plan` is what `sandbox.json` keeps between
    starts.
    """

    def __init__(self, options: JsonObject) -> None:
        self.directory: Path = options["directory"].resolve()
        self.admin_url = os.environ.get("DATABASE_URL", "")
        if not self.admin_url:
            raise CommandError(
                "DATABASE_URL is not set; it names the server that holds the sandbox's databases."
            )
        self.plan = self._plan(options)
        self.shape = shapes.combined(self.plan.get("shape", ()))
        self.github = GitHubStandIn(self.directory / "github", owner=OWNER, name=self.plan["name"])
        # Both ports are taken before the long work, so that a taken one is told at once.
        self.servers = [
            _bind(options[port], self.plan[port]) for port in ("github_port", "railway_port")
        ]
        self.github.url = self.servers[0].url
        if not self.plan["ready"]:
            self._import(options)
        self.railway = RailwayStandIn(
            self.directory / "railway",
            repository=self.github.git.path,
            repository_name=self.github.full_name,
        )
        if self.plan["ready"]:
            self._point_at_databases()
        else:
            self._furnish()
        self.github.on_push.append(self.railway.pushed)
        self.servers[0].app, self.servers[1].app = self.github, self.railway
        if not self.plan["source"]:  # the days are about the sample's services and tables
            stage = days.Stage(self.github, self.railway, self.shape, self.plan["alembic"])
            self.servers[0].days = functools.partial(days.served, stage)
        for server in self.servers:
            server.start()
        self.plan |= {
            "github_port": self.servers[0].port,
            "railway_port": self.servers[1].port,
            "ready": True,
        }
        self._keep()

    def ready(self) -> JsonObject:
        """Return the line that tells whoever started this where everything is."""
        github, railway = (server.url for server in self.servers)
        return {
            "ready": True,
            "github": github,
            "git": github,
            "railway": f"{railway}/graphql/v2",
            "repository": self.github.full_name,
            "project": self.railway.project_id,
            "alembic": self.plan["alembic"],
            "pages": sample.KEY_PAGES,
            "staging": self.shape.branch("staging"),
            "production": self.shape.branch("production"),
            "settings": self.shape.project() | self._database_settings(),
            "package_hosts": own_command.package_hosts() if self._own() else "",
            "unfilled": self._unfilled(),
        }

    def _unfilled(self) -> list[dict[str, str]]:
        """Return the databases that were left empty, each with the environment that it belongs
        to.
        """
        if not self.plan.get("unfilled"):
            return []
        names = self.plan["databases"]
        return [
            {
                "kind": target.kind,
                "alembic": target.alembic,
                "url": databases.create(self.admin_url, names[target.key]),
            }
            for target in self.shape.targets(self.plan["alembic"])
        ]

    def _database_settings(self) -> JsonObject:
        """Return what the portal is told of a database that is not the usual one."""
        alembic, table = self.plan["alembic"], self.plan.get("version_table", "alembic_version")
        if own := self._own():
            return {"databases": [own.settings(alembic, table)]}
        if table != "alembic_version":
            return {"databases": [{"name": "main", "alembic": alembic, "version_table": table}]}
        return {}

    def _own(self) -> own_command.OwnCommand | None:
        stored = self.plan.get("own")
        return own_command.OwnCommand(**stored) if stored else None

    def stop(self) -> None:
        for server in self.servers:
            server.stop()
        self.railway.stop()

    def _plan(self, options: JsonObject) -> JsonObject:
        """Return what was set up here before; else a new plan, with what an interrupted set-up left
        cleared away.
        """
        self.path = self.directory / "sandbox.json"
        source = str(options["repository"].resolve()) if options["repository"] else ""
        old = json.loads(self.path.read_text()) if self.path.exists() else None
        if old and old["ready"]:
            if source and source != old["source"]:
                served = old["source"] or "the sample"
                raise CommandError(
                    f"{self.directory} already serves {served}; name another --directory."
                )
            if (wanted := options.get("shape")) and wanted != old.get("shape", []):
                looks = ", ".join(old.get("shape", [])) or "no shape"
                raise CommandError(
                    f"{self.directory} already has {looks}; name another --directory."
                )
            return old
        for name in (old or {}).get("databases", {}).values():
            databases.drop(self.admin_url, name)
        for part in ("github", "railway", "sample"):
            shutil.rmtree(self.directory / part, ignore_errors=True)
        name = (
            re.sub(r"[^A-Za-z0-9._-]+", "-", Path(source).name.removesuffix(".git"))
            if source
            else ""
        )
        return {
            "ready": False,
            "source": source,
            "shape": options.get("shape") or [],
            "name": name.strip(".-") or "inspector",
            "alembic": "",
            "own": _own_of(options),
            "unfilled": bool(options.get("unfilled") or options.get("command")),
            "version_table": options.get("version_table") or "alembic_version",
            "databases": {},
            "github_port": 0,
            "railway_port": 0,
        }

    def _keep(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        fresh = self.path.with_suffix(".new")
        fresh.write_text(json.dumps(self.plan))
        fresh.replace(self.path)

    def _import(self, options: JsonObject) -> None:
        """Fill the GitHub stand-in and settle where the migrations lie."""
        if not self.plan["source"]:
            build = self.shape.build or sample.build
            furnish.repository(self.github, self.shape, build(self.directory / "sample"))
            self.plan["alembic"] = options["alembic"] or self.shape.settings.get(
                "alembic", sample.ALEMBIC
            )
            return
        source = Path(self.plan["source"])
        wanted = {self.shape.branch(kind): options[kind] for kind in ("production", "staging")}
        for ref in wanted.values():
            if _git(source, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}") is None:
                raise CommandError(f"The repository {source} has no branch or commit {ref!r}.")
        self.github.import_repository(source, wanted)
        sample.demo_state(self.github, self.shape.branch("staging"))
        for arrange in self.shape.github:
            arrange(self.github)
        self.plan["alembic"] = options["alembic"] or _alembic_path(
            self.github.git.path, self.shape.branch("staging")
        )

    def _furnish(self) -> None:
        """Return a project of two environments, live at each branch's head, with its databases."""
        railway, shape = self.railway, self.shape
        furnish.project(railway, shape, self.github.heads(), self._databases(self.github.git.path))
        for kind in shapes.KINDS:
            where = shape.environment(kind)
            railway.set_variable(
                where, "backend", "STRIPE_KEY", "sealed-in-the-sandbox", sealed=True
            )
            for name, value in (own.variables if (own := self._own()) else {}).items():
                railway.set_variable(where, "backend", name, value)
            railway.set_variable(
                where, "frontend", "API_URL", "http://${{backend.RAILWAY_PUBLIC_DOMAIN}}"
            )

    def _point_at_databases(self) -> None:
        """Follow the server of DATABASE_URL, which may have moved to another port since the last
        start.
        """
        for target in self.shape.targets(self.plan["alembic"]):
            url = databases.create(self.admin_url, self.plan["databases"][target.key])
            self.railway.set_variable(
                self.shape.environment(target.kind), target.service, target.variable, url
            )

    def _databases(self, repository: Path) -> dict[str, str]:
        """Return a database for each target, brought to its own branch's head unless somebody else
        does that; key of the target to URL.
        """
        targets = self.shape.targets(self.plan["alembic"])
        # Another sandbox may use the same server: a name that is taken gets an ending of its own.
        suffix = ""
        while any(
            databases.exists(self.admin_url, f"sandbox_{name}{suffix}")
            for name in (target.key for target in targets)
        ):
            suffix = f"_{os.urandom(3).hex()}"
        self.plan["databases"] = {target.key: f"sandbox_{target.key}{suffix}" for target in targets}
        self._keep()
        urls = {
            environment: databases.create(self.admin_url, name)
            for environment, name in self.plan["databases"].items()
        }
        if self.plan["unfilled"]:
            return urls
        with ThreadPoolExecutor(2) as pool:
            waiting = [
                pool.submit(
                    databases.bring_to_branch_head,
                    urls[target.key],
                    repository,
                    self.shape.branch(target.kind),
                    target.alembic,
                    self.plan.get("version_table", databases.TABLE),
                )
                for target in targets
                if target.alembic
            ]
            for future in waiting:
                future.result()
        return urls


def _own_of(options: JsonObject) -> JsonObject | None:
    """Return the project's own command as options name it, fit to be stored."""
    if not options.get("command"):
        return None
    pairs = [option.partition("=") for option in options.get("set") or ()]
    return {
        "line": options["command"],
        "install": options.get("install") or "",
        "variables": {name: value for name, _, value in pairs},
    }


def _bind(wanted: int, last: int) -> Server:
    """At the wanted port, which must be free; else at the last one, or where that is taken at
    any.
    """
    try:
        return Server(_starting, wanted or last)
    except (OSError, OverflowError):
        if wanted:
            raise CommandError(
                f"Port {wanted} is taken; name another one or stop what uses it."
            ) from None
        return Server(_starting)


def _starting(request: Request) -> Response:
    return Response(503, {"message": "The sandbox is starting."})


def _git(repository: Path, *arguments: str) -> str | None:
    done = subprocess.run(
        ["git", "-C", str(repository), *arguments], capture_output=True, text=True
    )
    return done.stdout if done.returncode == 0 else None


def _alembic_path(repository: Path, staging: str) -> str:
    """Return the ini file on staging's branch that lies nearest to the root; "" when there is
    none.
    """
    listed = (
        _git(repository, "ls-tree", "-r", "--name-only", "-z", f"refs/heads/{staging}") or ""
    ).split("\0")
    paths = [path for path in listed if Path(path).name == "alembic.ini"]
    return min(paths, key=lambda path: (path.count("/"), path), default="")
