"""Target databases for the sandbox, brought to a branch's head by the project's own command in
its own environment.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from portal.sandbox.databases import DatabaseProblem, extract

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
        if made.returncode == 0:
            made = _shell(own.install, checkout, _surroundings(environment))
    if made.returncode:
        raise DatabaseProblem(
            f"The install command ended with code {made.returncode}: {_last(made)}"
        )


def bring_to_branch_head(
    own: OwnCommand, url: str, repository: Path, ref: str, environment: Path
) -> None:
    """Runs the command over the files of `ref` against the empty database at `url`.

    Raises `DatabaseProblem`.
    """
    with tempfile.TemporaryDirectory(prefix="sandbox-checkout-") as name:
        checkout = Path(name)
        extract(repository, ref, checkout)
        variables = {"DATABASE_URL": url, **own.variables}
        done = _shell(own.line, checkout, _surroundings(environment) | variables)
    if done.returncode:
        message = f"“{own.line}” ended with code {done.returncode} for {ref}: {_last(done)}"
        raise DatabaseProblem(f"{message} If it needs variables, name them with --set NAME=VALUE.")


def _surroundings(environment: Path) -> dict[str, str]:
    passed = {name: os.environ[name] for name in _PASSED if name in os.environ}
    passed |= {
        name: value
        for name, value in os.environ.items()
        if name.startswith(("PIP_", "UV_", "SSL_"))
    }
    if environment.exists():
        passed["PATH"] = f"{environment / 'bin'}{os.pathsep}{passed.get('PATH', os.defpath)}"
        passed |= {"VIRTUAL_ENV": str(environment), "UV_PROJECT_ENVIRONMENT": str(environment)}
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
    return lines[-1].strip()[:300]
