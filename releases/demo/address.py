"""How a project is told the address of its database, read from its code: by which variables, and
with which driver.
"""

import re
from collections.abc import Collection, Iterable

_NAME = re.compile(r"(?<![A-Za-z0-9_])[A-Za-z][A-Za-z0-9_]*(?![A-Za-z0-9_])")
_BEFORE = r"(?:(?:sqlalchemy|async|sync|writer|reader)_)?"
_DATABASE = r"(?:db|database|postgres|postgresql|pg|psql|sql|sqlalchemy|sqlalchemy_database)"
# What a variable of that name holds, as a shell writes it from the address that a run is given.
_HOLDS = tuple(
    (re.compile(rf"{_BEFORE}{_DATABASE}__?(?:{ending})", re.I), value)
    for ending, value in (
        ("url|uri|dsn", "$DATABASE_URL"),
        ("server|host|hostname|address", "$PGHOST"),
        ("port", "$PGPORT"),
        ("user|username", "$PGUSER"),
        ("password|pass|passwd|pwd", "$PGPASSWORD"),
        ("db|name|database|dbname|db_name", "$PGDATABASE"),
    )
)
_PREFIX = re.compile(r"env_prefix\s*[=:]\s*[\"'](\w+)[\"']")
_ASYNC = re.compile(r"create_async_engine|async_engine_from_config|AsyncEngine")


def assignments(texts: Iterable[str]) -> dict[str, str]:
    """Return the variables beside DATABASE_URL by which these sources may take the address, each
    with what a shell puts into it.
    """
    assigned: dict[str, str] = {}
    for text in texts:
        prefixes = ["", *_PREFIX.findall(text)]
        for name in dict.fromkeys(_NAME.findall(text)):
            value = next((value for form, value in _HOLDS if form.fullmatch(name)), "")
            for prefix in prefixes if value else ():
                assigned |= dict.fromkeys([f"{prefix}{name}", f"{prefix}{name}".upper()], value)
    return {name: value for name, value in sorted(assigned.items()) if value != f"${name}"}


def driver(env_py: str, requirements: Collection[str]) -> str:
    """Return the driver that SQLAlchemy must be told of: "" for its own choice, psycopg2.

    `requirements`: the texts that name the project's packages.
    """

    def named(package: str) -> bool:
        return any(re.search(rf"(?<![\w-]){package}(?![\w])", text) for text in requirements)

    if _ASYNC.search(env_py) and named("asyncpg"):
        return "asyncpg"
    if named("psycopg2|psycopg2-binary"):
        return ""
    return next((package for package in ("psycopg", "pg8000") if named(package)), "")
