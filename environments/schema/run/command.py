"""The project's own command as a runner: its input and its environment."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from psycopg.conninfo import conninfo_to_dict

from environments.schema.run.database import NOTICES_A_LOST_HOST, normalise
from environments.schema.run.install import linked
from environments.schema.run.process import usual
from portal.outbound.parsing import JsonObject

APPLICATION_NAME = "release-portal migration"
LISTENER = Path(__file__).parent / "alembic_env" / "listener"
_FLASK = re.compile(
    r"\bdb\s+upgrade(?=\s*(?:['\");&|]|\Z))"
)  # Flask-Migrate goes to the head when none is named
_UPGRADE = re.compile(
    r"(?<![-\w])upgrade(?P<between>(?:\s+-\S+)*)\s+(?:heads?|[\w@+:-]+)(?=['\")\s;&|]|\Z)"
)


@dataclass(frozen=True)
class Command:
    """A line for the shell, run at the root of the repository's files, in a virtual environment if
    any.

    `variables` are the environment's own that the project names; nothing of the portal's is passed
    on.
    """

    line: str
    prepared: Path | None = None
    database_variable: str = "DATABASE_URL"
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)


def redirected(line: str, direction: str, target: str) -> str:
    """Return the command with another direction and target: `upgrade head` → `downgrade a1`.

    Return "" where the line has no `upgrade TARGET` of its own, but calls a script or make.
    """
    line = _FLASK.sub("db upgrade head", line)
    if not _UPGRADE.search(line):
        return ""
    return _UPGRADE.sub(lambda match: f"{direction}{match['between']} {target}", line, count=1)


def surroundings(prepared: Path | None, directory: Path) -> dict[str, str]:
    """Return PATH, LANG and the places that programs write to: all that is passed on of ours."""
    environment = usual(directory) | {"PYTHONUNBUFFERED": "1"}
    if prepared is None:
        return environment
    places = [str(prepared / "bin"), str(tools_of(prepared) / "bin"), environment["PATH"]]
    return environment | {
        "PATH": os.pathsep.join(places),
        "VIRTUAL_ENV": str(prepared),
        "UV_PROJECT_ENVIRONMENT": str(prepared),
        # What is installed is what was prepared: `uv run` and its like leave it so.
        "UV_NO_SYNC": "1",
        "POETRY_VIRTUALENVS_CREATE": "false",
    }


def tools_of(prepared: Path) -> Path:
    """Return where installers lie that this machine lacks, apart from what they install."""
    return prepared / "portal-tools"


def told(
    command: Command,
    url: str,
    directory: Path,
    *,
    lock_timeout_ms: int,
    statement_timeout_ms: int,
    version: int,
    listen: bool = False,
) -> JsonObject:
    """Return what the child is told over stdin: the line and its whole environment.

    The limits go behind what PGOPTIONS has, or into the address if that has options, which would
    hide PGOPTIONS. libpq (psycopg, psycopg2) reads them; asyncpg and pg8000 do not.
    """
    limits = f"-c lock_timeout={lock_timeout_ms} -c statement_timeout={statement_timeout_ms}"
    if version >= 140000:  # as `server_version_num`; a host that vanished keeps no lock for hours
        limits += "".join(f" -c {name}={value}" for name, value in NOTICES_A_LOST_HOST.items())
        limits += " -c client_connection_check_interval=1000"
    options = f"{command.variables.get('PGOPTIONS', '')} {limits}".strip()
    environ = surroundings(command.prepared, directory) | dict(command.variables)
    environ |= {"PGOPTIONS": options, "PGAPPNAME": APPLICATION_NAME}
    places = linked(command.prepared, directory.parent / "files") if command.prepared else []
    if listen:  # in a plan and a rehearsal: a run is the project's own, with nothing of ours in it
        places.append(str(LISTENER))
    if places:
        given = environ.get("PYTHONPATH")
        environ["PYTHONPATH"] = os.pathsep.join([*places, given] if given else places)
    environ |= parts_of(url) | {command.database_variable: _with_options(url, limits)}
    if command.prepared:  # a PATH of the project's own must not hide what was prepared for it
        environ["PATH"] = surroundings(command.prepared, directory)["PATH"]
    return {"command": command.line, "environ": environ, "listen": listen}


def parts_of(url: str) -> dict[str, str]:
    """Return the parts of an address under libpq's names, for projects that put theirs together:
    `POSTGRES_SERVER=$PGHOST alembic upgrade head`.
    """
    parts = {"port": 5432} | conninfo_to_dict(normalise(url).libpq)
    named = {name: parts.get(name) for name in ("host", "port", "user", "password")}
    named["database"] = parts.get("dbname")
    return {f"PG{name.upper()}": str(value) for name, value in named.items() if value}


def _with_options(url: str, limits: str) -> str:
    """Return the address as it is, but for its `options`, if any: the limits go behind them."""
    parts, more = urlsplit(url), f"%20{quote(limits, safe='')}"
    query = (
        f"{option}{more}" if option.startswith("options=") else option
        for option in parts.query.split("&")
    )
    return urlunsplit(parts._replace(query="&".join(query))) if parts.query else url
