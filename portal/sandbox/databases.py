"""Target databases for the sandbox: made empty, then brought to a branch's own Alembic head by
Alembic.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import quote, urlsplit

import psycopg
from alembic.config import Config
from alembic.util import CommandError as AlembicError
from psycopg import sql

ENVIRONMENT = Path(__file__).with_name("alembic_env")
TABLE = "alembic_version"


class DatabaseProblem(Exception):
    """A target database that cannot be made or migrated, in one sentence for people."""


def exists(admin_url: str, name: str) -> bool:
    """Return whether the server of `admin_url` has a database `name`."""
    with _connect(admin_url) as connection:
        return bool(
            connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
        )


def create(admin_url: str, name: str) -> str:
    """Make the database `name` on the server of `admin_url` where it is absent; return its URL."""
    with _connect(admin_url) as connection:
        try:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        except psycopg.errors.DuplicateDatabase:
            pass
        except psycopg.errors.InsufficientPrivilege:
            raise DatabaseProblem(
                f"The user {connection.info.user!r} of DATABASE_URL may not create databases; "
                f"let an administrator run: ALTER ROLE {connection.info.user} CREATEDB"
            ) from None
    return urlsplit(admin_url)._replace(path="/" + quote(name, safe="")).geturl()


def drop(admin_url: str, name: str) -> None:
    """Remove the database `name` and whoever is connected to it."""
    with _connect(admin_url) as connection:
        connection.execute(
            sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        )


def revisions(url: str, table: str = TABLE) -> list[str]:
    """Return the revisions that the database itself reports; none when it was never migrated."""
    query = sql.SQL("SELECT version_num FROM {} ORDER BY 1").format(
        sql.Identifier(*table.split("."))
    )
    with _connect(url) as connection:
        try:
            rows = connection.execute(query)
            return [str(row[0]) for row in rows]
        except psycopg.errors.UndefinedTable:
            return []


def _connect(url: str) -> psycopg.Connection[tuple[object, ...]]:
    try:
        return psycopg.connect(url, autocommit=True, connect_timeout=10)
    except psycopg.OperationalError as error:
        raise DatabaseProblem(
            f"The database server of DATABASE_URL does not answer: {error}"
        ) from None


def bring_to_branch_head(
    url: str, repository: Path, ref: str, alembic_path: str, table: str = TABLE
) -> list[str]:
    """Upgrade the empty database at `url` to the heads that `ref` of `repository` holds; return
    them.

    `alembic_path` names, inside the repository, an ini file (with `:section` behind it where that
    is not the usual), a pyproject.toml, a script directory or a directory of version files. Where
    `ref` has no version files there, the database stays empty. Raise `DatabaseProblem`.
    """
    with tempfile.TemporaryDirectory(prefix="sandbox-checkout-") as name:
        checkout = Path(name) / "checkout"
        checkout.mkdir()
        extract(repository, ref, checkout)
        path, _, section = alembic_path.partition(":")
        target = (checkout / path).resolve()
        if not target.is_relative_to(checkout.resolve()):
            raise DatabaseProblem(f"The Alembic path {alembic_path!r} leads out of the repository.")
        configuration = target.exists() and _configuration(target, checkout, path, section)
        if configuration:
            ini = Path(name) / "alembic.ini"
            ini.write_text(configuration)
            _upgrade(url, ini, target if target.is_dir() else target.parent, ref, table)
    return revisions(url, table)


def extract(repository: Path, ref: str, checkout: Path) -> None:
    """Write the files of exactly that commit into `checkout`: no work tree, no hooks.

    Raise `DatabaseProblem`.
    """
    archive = ["git", "-C", str(repository), "archive", "--format=tar", "--end-of-options", ref]
    with subprocess.Popen(archive, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as packed:
        subprocess.run(["tar", "-x", "-C", str(checkout)], stdin=packed.stdout, capture_output=True)
    if packed.returncode:
        raise DatabaseProblem(f"The repository {repository} has no branch or commit {ref!r}.")


def _configuration(target: Path, checkout: Path, alembic_path: str, section: str = "") -> str:
    """Return an ini file that points Alembic at their version files and at our own environment; ""
    where those are not there, which the portal says in words of its own.
    """
    if target.is_dir():
        versions = target / "versions"
        locations, recursive = [versions if versions.is_dir() else target], False
    else:
        locations, recursive = _locations(target, section, checkout, alembic_path)
    if not locations:
        return ""
    lines = [
        "[alembic]",
        f"script_location = {ENVIRONMENT}",
        "path_separator = newline",
        f"recursive_version_locations = {recursive}",
        f"prepend_sys_path = {target.parent}\n    {checkout}",
        "version_locations = " + "\n    ".join(str(location) for location in locations),
    ]
    return "\n".join(line.replace("%", "%%") for line in lines) + "\n"


def _locations(
    file: Path, section: str, checkout: Path, alembic_path: str
) -> tuple[list[Path], bool]:
    """Return where the file says that version files lie, and whether in folders below as well."""
    try:
        toml = file.suffix == ".toml"
        config = (
            Config(toml_file=file) if toml else Config(str(file), ini_section=section or "alembic")
        )
        script = config.get_alembic_option("script_location") or "alembic"
        listed = config.get_version_locations_list() or []
        recursive = (
            str(config.get_alembic_option("recursive_version_locations") or "").lower() == "true"
        )
    except (AlembicError, ValueError, OSError) as error:
        raise DatabaseProblem(
            f"The file {alembic_path} cannot be read by Alembic: {error}"
        ) from None
    names = listed or [f"{script}/versions"]
    locations = [_found(name, file.parent, checkout) for name in names]
    return [location for location in locations if location], recursive


def _found(name: str, beside: Path, checkout: Path) -> Path | None:
    """Return a location of the file: absolute, or below the file's folder, or below the
    repository's root; None where nothing lies there.

    `package:folder` is looked up as a path, since their packages are not installed here.
    """
    relative = Path(name.strip().replace(":", "/")) if not Path(name).is_absolute() else Path(name)
    for base in (beside, checkout):
        if (base / relative).is_dir():
            return base / relative
    return None


def _upgrade(url: str, ini: Path, directory: Path, ref: str, table: str) -> None:
    passed = {
        name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ
    }
    done = subprocess.run(
        [sys.executable, "-m", "alembic", "-c", str(ini), "upgrade", "heads"],
        cwd=directory,
        env=passed
        | {"SANDBOX_TARGET_URL": url, "DATABASE_URL": url, "PYTHONDONTWRITEBYTECODE": "1"}
        | {"SANDBOX_VERSION_TABLE": table},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise DatabaseProblem(
            f"Alembic could not bring an empty database to the head of {ref}: {last}"
        )
