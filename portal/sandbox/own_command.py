"""Target databases for the sandbox, brought to a branch's head by the project's own command in
its own environment.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

from portal.complaints import complaint
from portal.sandbox.databases import DatabaseProblem, extract, revisions

_TOOLS = ("uv", "poetry", "pdm", "pipenv")
_PASSED = ("PATH", "HOME", "LANG", "TMPDIR")


@dataclass(frozen=True)
class OwnCommand:
    """A command for the shell at the repository's root, what installs its packages, and its
    variables.
    """

    line: str
    install: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)

    def settings(self, alembic: str, version_table: str) -> dict[str, object]:
        """Return the fields of the portal's database that let it run the same command."""
        return {
            "name": "main",
            "alembic": alembic,
            "runner": "command",
            "migration_command": self.line,
            "install_command": self.install,
            "migration_variables": " ".join(self.variables),
            "version_table": version_table,
        }


@dataclass(frozen=True)
class Target:
    """A database that a command is to fill: its address, where Alembic is configured, and where
    the project keeps its revisions.
    """

    url: str
    alembic: str
    table: str


def prepare(own: OwnCommand, repository: Path, ref: str, environment: Path) -> None:
    """Makes the virtual environment at `environment` for the lock files of `ref`.

    Raises `DatabaseProblem`.
    """
    if not own.install or environment.exists():
        return
    with tempfile.TemporaryDirectory(prefix="sandbox-install-") as name:
        checkout = Path(name)
        extract(repository, ref, checkout)
        made = subprocess.run(
            [sys.executable, "-I", "-m", "venv", environment], capture_output=True, text=True
        )
        tools = [tool for tool in _TOOLS if _names(own.install, tool) and not shutil.which(tool)]
        for line in (_fetching(tools, environment), own.install):
            if made.returncode == 0:
                made = _shell(line, checkout, _surroundings(environment))
    if made.returncode:
        raise DatabaseProblem(
            f"“{own.install}” ended with code {made.returncode}: {_last(made)}. Name another"
            " install command with --install."
        )


def package_hosts(environment: Path) -> str:
    """Return the hosts of the public package index, as the pip of `environment` names them; ""
    where there is no such environment.

    A machine may reach them under addresses of its own network, which a portal allows by name only.
    """
    names = (
        "from pip._internal.models.index import PyPI; print(PyPI.netloc,PyPI.file_storage_domain)"
    )
    python = environment / "bin" / "python"
    if not python.exists():
        return ""
    return subprocess.run(
        [python, "-I", "-c", names], capture_output=True, text=True
    ).stdout.strip()


def _names(line: str, tool: str) -> bool:
    return re.search(rf"(?<![\w./-]){tool}(?=\s|\Z)", line) is not None


def _fetching(tools: list[str], environment: Path) -> str:
    """Return the command for installers that this machine lacks, kept apart from what they
    install.
    """
    if not tools:
        return ":"
    place = environment / "portal-tools"
    return f"python -I -m venv {place} && {place}/bin/pip install -q {' '.join(tools)}"


def bring_to_branch_head(
    own: OwnCommand, target: Target, repository: Path, ref: str, environment: Path
) -> None:
    """Runs the command over the files of `ref` against an empty database, which stays empty where
    `ref` has no migrations yet.

    Raises `DatabaseProblem`.
    """
    with tempfile.TemporaryDirectory(prefix="sandbox-checkout-") as name:
        checkout = Path(name)
        extract(repository, ref, checkout)
        if target.alembic and not (checkout / target.alembic.partition(":")[0]).exists():
            return
        variables = {**own.variables, **_parts(target.url), "DATABASE_URL": target.url}
        done = _shell(own.line, checkout, _surroundings(environment) | variables)
    said = f"“{own.line}” ended with code {done.returncode} for {ref}"
    if done.returncode:
        text = f"{done.stdout}\n{done.stderr}"
        way = "" if complaint(text) else " If it needs variables, name them with --set NAME=VALUE."
        raise DatabaseProblem(f"{said}: {complaint(text) or _last(done)}.{way}")
    if not revisions(target.url, target.table):
        raise DatabaseProblem(
            f"{said}, and the database holds no revision in {target.table}: the command does not"
            " use DATABASE_URL, or keeps its revisions in another table (--version-table)."
        )


def _parts(url: str) -> dict[str, str]:
    """Return the parts of the address under libpq's names, as a run of the portal has them."""
    parts = conninfo_to_dict(url)
    named = {"PGHOST": "host", "PGPORT": "port", "PGUSER": "user", "PGPASSWORD": "password"}
    named |= {"PGDATABASE": "dbname"}
    return {name: str(parts[part]) for name, part in named.items() if parts.get(part)}


def _surroundings(environment: Path) -> dict[str, str]:
    passed = {name: os.environ[name] for name in _PASSED if name in os.environ}
    passed |= {
        name: value
        for name, value in os.environ.items()
        if name.startswith(("PIP_", "UV_", "SSL_", "REQUESTS_"))
    }
    if environment.exists():
        places = [environment / "bin", environment / "portal-tools" / "bin"]
        passed["PATH"] = os.pathsep.join([*map(str, places), passed.get("PATH", os.defpath)])
        passed |= {"VIRTUAL_ENV": str(environment), "UV_PROJECT_ENVIRONMENT": str(environment)}
        passed |= {"UV_PYTHON": str(environment / "bin" / "python"), "UV_NATIVE_TLS": "1"}
        passed["POETRY_VIRTUALENVS_CREATE"] = "false"
    return passed


def _shell(
    line: str, directory: Path, variables: Mapping[str, str]
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["/bin/sh", "-c", line],
        cwd=directory,
        env=dict(variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=1800,
    )


def _last(done: "subprocess.CompletedProcess[str]") -> str:
    lines = (done.stderr.strip() or done.stdout.strip()).splitlines() or ["no message"]
    return lines[-1].strip()[:300].rstrip(".")
