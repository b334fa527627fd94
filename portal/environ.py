"""How settings are read from the environment: what a variable's text means."""

import os
import secrets
from contextlib import suppress
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured


def text(name: str, default: str = "") -> str:
    """Return the variable `name` without spaces around it; `default` where it is not set."""
    return os.environ.get(name, default).strip()


def number(name: str, default: float) -> float:
    """Return the variable `name` as a number; `default` where it is not set."""
    return float(os.environ.get(name, default))


def flag(name: str, default: bool) -> bool:
    """Return whether the variable `name` says yes; `default` where it is not set."""
    return text(name, str(default)).lower() in {"1", "true", "yes", "on"}


def items(name: str, default: str = "") -> list[str]:
    """Return the parts of the variable `name`, which commas separate."""
    return [part.strip() for part in os.environ.get(name, default).split(",") if part.strip()]


def secret_key(directory: Path) -> str:
    """Return the configured key, or one made once and kept in `directory`."""
    return text("SECRET_KEY") or remembered_secret(directory / "secret_key")


def remembered_secret(path: Path) -> str:
    """Return the secret in the file `path`, made once and readable by us alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        suppress(FileExistsError),  # also where another process was quicker: its secret counts
        os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file,
    ):
        file.write(secrets.token_urlsafe(48))
    return path.read_text().strip()


# What libpq takes in an address and is the operator's to say. `options`, `dbname` and the like
# would change where the portal's tables are looked for.
_DATABASE_OPTIONS = {
    *("sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl", "sslnegotiation"),
    *("channel_binding", "gssencmode", "target_session_attrs", "connect_timeout"),
    *("keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count"),
    *("tcp_user_timeout", "application_name"),
}
# Seconds, seconds and a count, for libpq; the server calls the same tcp_keepalives_….
KEEPALIVES = {"keepalives_idle": 10, "keepalives_interval": 3, "keepalives_count": 3}
_NOTICES_WHO_IS_GONE = " ".join(
    f"-c {setting}"
    for setting in (
        *(f"tcp_{name}={value}" for name, value in KEEPALIVES.items()),
        "tcp_user_timeout=20000",
        "idle_in_transaction_session_timeout=90s",
    )
)


def database(url: str, schema: str) -> dict[str, object]:
    """Return Django's settings for a `postgresql://` URL (libpq URI, PostgreSQL manual 34.1.1.2).

    `schema` is where the portal's tables lie. Raise `ImproperlyConfigured`.
    """
    parts = urlsplit(url)
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    if unknown := sorted(set(given) - _DATABASE_OPTIONS):
        # Left out silently, `sslmode` in another spelling would mean a connection in the clear.
        raise ImproperlyConfigured(
            f"DATABASE_URL has the options {', '.join(unknown)}, which the portal does not take."
            f" It takes {', '.join(sorted(_DATABASE_OPTIONS))}."
        )
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")) or "postgres",
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": parts.port or "",
        "CONN_MAX_AGE": 600,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            "connect_timeout": 10,
            "application_name": "release-portal",
            # A host that is cut off: this end notices within 20 s, as does the server, which then
            # frees the locks of who is gone, and of who is frozen within a transaction.
            **KEEPALIVES,
            "tcp_user_timeout": 20_000,
            **given,
            # Whatever was set for the database or the role: names mean the portal's own tables and
            # nothing before them.
            "options": f"-c search_path={schema},pg_temp {_NOTICES_WHO_IS_GONE}",
        },
    }


def smtp(host: str, password: str) -> dict[str, object]:
    """Return Django's mailer for the SMTP server `host`, with the port and encryption of EMAIL_...,
    or what goes with them.
    """
    user = text("EMAIL_HOST_USER")
    ssl = flag("EMAIL_USE_SSL", False)
    tls = flag("EMAIL_USE_TLS", bool(user) and not ssl)
    return {
        "BACKEND": "django.core.mail.backends.smtp.EmailBackend",
        "OPTIONS": {
            "host": host,
            "port": int(os.environ.get("EMAIL_PORT") or (465 if ssl else 587 if tls else 25)),
            "username": user,
            "password": password,
            "use_ssl": ssl,
            "use_tls": tls,
            "timeout": 15,
        },
    }
