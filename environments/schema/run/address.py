"""What the address of a database means to libpq and to SQLAlchemy."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

from psycopg.conninfo import conninfo_to_dict

_DRIVER_NAMES = "asyncpg psycopg psycopg2 psycopg_async psycopg2cffi pg8000 aiopg"
_DRIVERS = {"", *_DRIVER_NAMES.split()}
# Of libpq's own words (PostgreSQL manual 34.1.2); what frameworks add to a URL is left out.
_LIBPQ_NAMES = """
application_name channel_binding connect_timeout dbname gssencmode host hostaddr keepalives
keepalives_count keepalives_idle keepalives_interval options password port require_auth sslcert
sslcrl sslkey sslmode sslnegotiation sslrootcert sslsni target_session_attrs tcp_user_timeout user
"""
_LIBPQ = frozenset(_LIBPQ_NAMES.split())
_SOCKET_DIRECTORIES = ("/var/run/postgresql", "/run/postgresql", "/tmp")  # noqa: S108 - where libpq looks by itself
_SSL_WORDS = {"true": "require", "1": "require", "false": "disable", "0": "disable"}


class DatabaseError(Exception):
    """One clear sentence without URL or password.

    `kind`: address, engine, credentials, missing, full, starting, unreachable, denied, readonly or
    database.
    """

    def __init__(self, sentence: str, kind: str) -> None:
        super().__init__(sentence)
        self.kind = kind


@dataclass(frozen=True)
class Address:
    """One database in the forms that libpq and SQLAlchemy (with psycopg) understand."""

    libpq: str = field(repr=False)
    sqlalchemy: str = field(repr=False)
    where: str  # host and database, fit to be shown
    database: str
    password: str = field(repr=False)
    host: str = ""


def normalise(url: str) -> Address:
    """Read `postgres://`, `postgresql+asyncpg://` and their like. Raise `DatabaseError`."""
    text = url.strip()
    if not text:
        why = "No database address is set for this environment; add its URL."
        raise DatabaseError(why, "address")
    scheme, _, rest = text.partition("://")
    engine, _, driver = scheme.lower().partition("+")
    if engine not in ("postgres", "postgresql") or driver not in _DRIVERS:
        shown = engine if rest and re.fullmatch(r"[a-z0-9]{1,20}", engine) else "something else"
        why = f"The database address is one of {shown}; only PostgreSQL is supported."
        raise DatabaseError(why, "engine")
    parts, query = _read(rest)
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    host = parts.netloc.rpartition("@")[2]
    if ssl := query.get("ssl"):
        query.setdefault("sslmode", _SSL_WORDS.get(ssl.lower(), ssl))
    kept = {name: value for name, value in query.items() if name in _LIBPQ}
    password = password or kept.get("password", "")
    database = unquote(parts.path.lstrip("/")) or kept.get("dbname", "") or user
    who = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
    netloc = f"{who}@{host}" if who else host
    kept.pop("password", None)
    options = f"?{urlencode(kept, quote_via=quote)}" if kept else ""
    libpq = f"postgresql://{netloc}{parts.path}{options}"
    where = f"The database “{database}” at {kept.get('host', host) or 'the local server'}"
    sqlalchemy = "postgresql+psycopg" + libpq.removeprefix("postgresql")
    host = kept.get("host") or parts.hostname or ""
    return Address(libpq, sqlalchemy, where, database, password, host)


def _read(rest: str) -> tuple[SplitResult, dict[str, str]]:
    """Return an address's parts and its query. Raise `DatabaseError`."""
    try:
        parts = urlsplit(f"postgresql://{rest}")
        good_port = parts.port is None or 0 < parts.port < 65536
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
    except ValueError:
        good_port = False
    if not good_port or parts.fragment or "\n" in rest:
        why = "The database address cannot be read; percent-encode its password."
        raise DatabaseError(why, "address")
    return parts, query


def places_of(address: Address) -> tuple[tuple[str, int], ...]:
    """Return the server's hosts, or directories of its sockets, with their ports."""
    parts = conninfo_to_dict(address.libpq)
    named = str(parts.get("hostaddr") or parts.get("host") or "")
    hosts = named.split(",") if named else list(_SOCKET_DIRECTORIES)
    hosts += str(parts.get("host") or "").split(",") if parts.get("hostaddr") else []
    ports = [int(port or 5432) for port in str(parts.get("port") or "5432").split(",")]
    return tuple((host, port) for host in hosts if host for port in dict.fromkeys(ports))


def files_in(address: Address) -> tuple[Path, ...]:
    """Return the certificates and keys that the address names."""
    parts = conninfo_to_dict(address.libpq)
    named = (str(parts.get(name)) for name in ("sslrootcert", "sslcert", "sslkey", "sslcrl"))
    return tuple(Path(path) for path in named if path.startswith("/"))


def same_database(url: str, other: str) -> bool:
    """Return whether URLs of two environments lead to one database by name.

    A private name leads to another database in each environment. Raise `DatabaseError` for what is
    no such URL.
    """
    first, second = normalise(url), normalise(other)
    return first.where.lower() == second.where.lower() and not is_internal(first.host)


def is_internal(host: str) -> bool:
    """Return whether it is on Railway's private network, of which each environment has its own."""
    return host.lower().rstrip(".").endswith(".railway.internal")
