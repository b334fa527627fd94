"""Secrets: encrypted at rest, shown nowhere, written through forms and never read from them."""

import base64
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django import forms
from django.apps import apps
from django.conf import settings
from django.db import models, transaction
from django.db.models import F
from django.db.models.functions import Cast
from django.utils.html import format_html
from django.utils.safestring import SafeString

from portal.redaction import HIDDEN, hold


class Unreadable(Exception):
    """A stored secret was encrypted with a key that is not configured (any more)."""


class HiddenText(str):
    """A secret that is used like any text, but `•••` in `repr`, `str`, f-strings and templates."""

    __slots__ = ()

    def __repr__(self) -> str:
        return HIDDEN

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(HIDDEN, spec)

    def reveal(self) -> str:
        """Return the secret itself, as a plain text."""
        return super().__str__()


@lru_cache(maxsize=4)
def _cipher(keys: tuple[str, ...]) -> MultiFernet:
    """Return what encrypts with the first key and reads with any; HKDF (RFC 5869) makes them of
    any text.
    """

    def derived(key: str) -> bytes:
        kdf = HKDF(SHA256(), length=32, salt=None, info=b"release-portal fields")
        return base64.urlsafe_b64encode(kdf.derive(key.encode()))

    return MultiFernet([Fernet(derived(key)) for key in keys])


def cipher() -> MultiFernet:
    """Return the cipher of settings.FIELD_ENCRYPTION_KEYS, newest first."""
    return _cipher(tuple(settings.FIELD_ENCRYPTION_KEYS))


class EncryptedTextField(models.TextField):
    """Text that the database holds only encrypted and forms only take in.

    It cannot be searched for. `credential`: it lets somebody in elsewhere, so no event and no log
    of a process that has read or stored it shows it.
    """

    def __init__(self, *args: Any, credential: bool = False, **kwargs: Any) -> None:
        self.credential = credential  # no part of the schema, so migrations do not know it
        super().__init__(*args, **kwargs)

    def get_prep_value(self, value: str | None) -> object:
        if value and self.credential:
            hold(str.__str__(value))
        return cipher().encrypt(value.encode()).decode() if value else value

    def from_db_value(self, value: str | None, *args: object) -> object:
        """Raise `Unreadable`: an empty text instead would pass for a secret that was never set."""
        if not value:
            return value
        try:
            plain = cipher().decrypt(value.encode()).decode()
        except InvalidToken:
            what = f"{self.model._meta.verbose_name}: {self.name} was encrypted with another key"
            where = "add it to FIELD_ENCRYPTION_KEYS, behind the new one."
            raise Unreadable(f"{what}; {where}") from None
        if self.credential:
            hold(plain)
        return HiddenText(plain)

    def value_to_string(self, obj: models.Model) -> str:
        return ""  # secrets are not exported

    def formfield(self, **kwargs: Any) -> Any:
        # Over `kwargs`: the admin proposes its own widget, which would show the value.
        ours = {"form_class": SecretField, "widget": SecretInput, "max_length": None}
        return super().formfield(**(kwargs | ours))

    def save_form_data(self, instance: models.Model, data: str | None) -> None:
        if data is not None:
            super().save_form_data(instance, HiddenText(data))


def _encrypted_fields() -> Iterator[tuple[Any, EncryptedTextField]]:
    """Yield every model that has secrets with each field of it that holds them."""
    for model in apps.get_models():
        for field in model._meta.concrete_fields:
            if isinstance(field, EncryptedTextField):
                yield model, field


def hold_stored() -> None:
    """Have every stored credential that can be read replaced in what this process says."""
    for model, field in _encrypted_fields():
        if field.credential:
            as_stored = Cast(F(field.attname), models.TextField())
            for raw in model._base_manager.values_list(as_stored, flat=True):
                with suppress(InvalidToken):  # its key is gone, and so nobody can quote it
                    hold(cipher().decrypt((raw or "").encode()).decode())


class SecretInput(forms.Widget):
    """A field that starts empty, beside it a box that removes what is stored."""

    def get_context(
        self, name: str, value: object, attrs: dict[str, object] | None
    ) -> dict[str, object]:
        return super().get_context(name, None, attrs)

    def render(
        self, name: str, value: object, attrs: Any = None, renderer: object = None
    ) -> SafeString:
        place = "set; leave empty to keep it" if value else "not set"
        field = (
            '<input type="password" name="{}" id="{}" placeholder="{}" autocomplete="new-password">'
        )
        box = ' <label><input type="checkbox" name="{}-clear"> remove it</label>' if value else ""
        given = (attrs or {}).get("id", f"id_{name}")
        return format_html(field + box, name, given, place, *([name] if value else []))

    def value_from_datadict(self, data: Mapping[str, Any], files: object, name: str) -> str | None:
        """None: leave it as it is. Empty: remove it."""
        return data.get(name) or ("" if data.get(f"{name}-clear") else None)

    def value_omitted_from_data(self, data: Mapping[str, object], files: object, name: str) -> bool:
        return name not in data and f"{name}-clear" not in data

    def id_for_label(self, id_: str) -> str:
        return id_


class SecretField(forms.CharField):
    """Takes a new secret; cleans to None when the stored one stays and to "" when it goes."""

    def to_python(self, value: str | None) -> str | None:
        return None if value is None else super().to_python(value)

    def validate(self, value: str | None) -> None:
        if value is not None:
            super().validate(value)

    def has_changed(self, initial: object, data: str | None) -> bool:
        return data is not None


@transaction.atomic
def rotate() -> int:
    """Encrypt each stored secret again with the newest key; return how many. Raise `Unreadable`."""
    count = 0
    for model, field in _encrypted_fields():
        rows = model._base_manager.select_for_update().order_by("pk")
        for pk, secret in rows.values_list("pk", field.attname):
            if secret:
                count += model._base_manager.filter(pk=pk).update(**{field.attname: secret})
    return count


def check_readable() -> None:
    """Read one stored secret of each kind. Raise `Unreadable` when a key is missing."""
    for model, field in _encrypted_fields():
        secrets = model._base_manager.values_list(field.attname, flat=True)
        # Neither empty nor null: `exclude` leaves both out.
        secrets.exclude(**{field.attname: ""}).exclude(**{field.attname: None}).first()


def describe_token(raw: str) -> list[str]:
    """Return a pasted token's length, and what is wrong with it, without a letter of it."""
    length, inner = f"{len(raw)} characters", raw.strip()
    if not inner:
        return [length, "is empty"]
    header = re.match(r"(bearer|token) ", inner, re.IGNORECASE)
    inner = inner[header.end() :] if header else inner
    faults = {
        "ends with a carriage return": re.search(r"\r\n?\Z", raw),
        "ends with a line break": re.search(r"(?<!\r)\n\Z", raw),
        "ends with a space": re.search(r"[^\S\r\n]\Z", raw),
        "begins with a space or line break": raw != raw.lstrip(),
        "begins with the name of a header": header,
        "has a space or line break inside": re.search(r"\s", inner),
        "is wrapped in quotation marks": re.search("\\A[\"'`“”‘’]|[\"'`“”‘’]\\Z", inner),
        "has a letter that no token has": not inner.isascii(),
        "has a control character inside": re.search(r"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f]", inner),
    }
    return [length, *(fault for fault, applies in faults.items() if applies)]
