"""Replaces secrets by `•••` in everything that people and logs see.

`without_secrets` is the one function for text that anybody may have written. It touches no
database, so it knows the secrets of the settings, and those that this process has read from the
database, stored there, or was given by GitHub: whoever has not had a secret cannot quote it.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from urllib.parse import quote, quote_plus, unquote, urlsplit

from django.conf import settings

HIDDEN = "•••"
SETTINGS = (
    "SECRET_KEY",
    "GITHUB_TOKEN",
    "GITHUB_APP_PRIVATE_KEY",
    "GITHUB_WEBHOOK_SECRET",
    "RAILWAY_API_TOKEN",
    "RAILWAY_TOKEN",
    "RAILWAY_WEBHOOK_SECRET",
    "METRICS_TOKEN",
    "SMTP_PASSWORD",
    "SENTRY_DSN",
)
# A shorter one, or a mere word, would hide words that people must read, in the audit trail too.
SHORTEST = 12
MOST_HELD = 2000
_held: dict[str, None] = {}  # the oldest first
_tried: ContextVar[tuple[str, ...]] = ContextVar("tried", default=())
# The portal's own tokens, of which only digests are stored, and GitHub's, whoever's they are.
_TOKEN = re.compile(r"\b(?:rpt_|gh[oprsu]_|github_pat_)[\w-]{20,}(?:\.[\w-]{10,})*")
# Addresses that are good for something: Railway's webhook, an invitation.
_IN_ADDRESS = re.compile(r"(/webhooks/railway/|/invited/[^/\s]+/)[^/\s?#'\"]+")


def hold(secret: str) -> None:
    """Have a credential replaced in whatever this process says from now on."""
    if not is_unmistakable(secret):
        return
    _held.pop(secret, None)
    _held[secret] = None
    while len(_held) > MOST_HELD:
        _held.pop(next(iter(_held)), None)


def let_go() -> None:
    """Forget every held credential, as a fresh process; for tests."""
    _held.clear()


@contextmanager
def knowing(secret: str) -> Iterator[None]:
    """Have `secret` replaced inside the block alone: nobody knows yet whether it is one."""
    token = _tried.set((*_tried.get(), secret))
    try:
        yield
    finally:
        _tried.reset(token)


def known_secrets() -> list[str]:
    """Return every secret of the settings, and every credential that this process holds."""
    return [*_of_settings(), *_held, *_tried.get()]


def unmistakable() -> list[str]:
    """Return those of `known_secrets` that nobody would write as a word."""
    return [secret for secret in known_secrets() if is_unmistakable(secret)]


def is_unmistakable(text: str) -> bool:
    """Return whether hiding `text` hides no word that people must read."""
    return len(text) >= SHORTEST and not text.isalpha()


def without_secrets(text: str) -> str:
    """Return `text` without any credential that this process knows, however spelt, nor what looks
    like an access token or stands in an address in place of one.
    """
    text = _TOKEN.sub(HIDDEN, _IN_ADDRESS.sub(rf"\1{HIDDEN}", text))
    for spelling in _all_spellings(tuple(known_secrets())):
        if spelling in text:
            text = text.replace(spelling, HIDDEN)
    return text


def in_texts(value: object, change: Callable[[str], str]) -> object:
    """Return `value`, as JSON holds it, with `change` made to every text and name in it."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {in_texts(name, change): in_texts(inner, change) for name, inner in value.items()}
    return (
        [in_texts(inner, change) for inner in value] if isinstance(value, list | tuple) else value
    )


def redact(message: str, secrets: Iterable[str]) -> str:
    """Return `message` with every secret, as it is or as addresses and JSON spell it, replaced by
    `•••`; of an address with a password, that password too.
    """
    spellings = {spelling for secret in secrets for spelling in _spellings(secret)}
    for spelling in sorted(spellings, key=len, reverse=True):
        message = message.replace(spelling, HIDDEN)
    return message


def _of_settings() -> list[str]:
    if not settings.configured:  # a line that is logged while they are read
        return []
    values = [getattr(settings, name, "") for name in SETTINGS]
    values.append(str(settings.DATABASES["default"]["PASSWORD"]))
    return [*filter(None, values), *settings.FIELD_ENCRYPTION_KEYS]


@lru_cache(maxsize=8)
def _all_spellings(secrets: tuple[str, ...]) -> tuple[str, ...]:
    """Return what stands for these secrets, the longest first, without what hides words."""
    spellings = {spelling for secret in secrets for spelling in _spellings(secret)}
    return tuple(sorted(filter(is_unmistakable, spellings), key=len, reverse=True))


def _spellings(secret: str) -> set[str]:
    plain = str.__str__(secret)  # of a text that hides itself, too
    try:
        password = urlsplit(plain).password or "" if "://" in plain else ""
    except ValueError:
        password = ""
    spellings = set()
    for text in {plain, plain.strip(), password, unquote(password)} - {""}:
        spellings |= {
            text,
            quote(text, safe=""),
            quote_plus(text),
            json.dumps(text)[1:-1],
            repr(text)[1:-1],
        }
    return {spelling for spelling in spellings if spelling.strip()}
