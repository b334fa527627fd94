"""Secrets: encrypted at rest, never shown again, removed from texts, and described without being told."""

import base64
import hmac
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote, quote_plus

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django import forms
from django.apps import apps
from django.conf import settings
from django.core import validators
from django.core.exceptions import FieldError, ValidationError
from django.db import models, transaction
from django.db.models.query_utils import DeferredAttribute
from django.utils.html import format_html
from django.utils.safestring import SafeString

HIDDEN = "•••"


class Secret:
    """A text that shows itself as dots wherever it is printed, logged or put on a page.

    `reveal()` gives the text; one read from the database is decrypted only then. Deliberately not a `str`:
    formatting it by accident yields dots, joining it an error.
    """

    __slots__ = ("_sealed", "_text")

    def __init__(self, text: str = "", *, sealed: str = "") -> None:
        self._text, self._sealed = text, sealed

    def reveal(self) -> str:
        """The text; call it only where it leaves for its purpose. Raises `Undecryptable`."""
        return decrypt(self._sealed) if self._sealed else self._text

    def __repr__(self) -> str:
        return HIDDEN

    __str__ = __repr__

    def __bool__(self) -> bool:
        return bool(self._sealed or self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(
            self.reveal().encode(), other.reveal().encode()
        )

    def __hash__(self) -> int:
        return hash(("Secret", self.reveal()))

    def __copy__(self) -> "Secret":
        return self

    def __deepcopy__(self, memo: object) -> "Secret":
        return self

    def __reduce__(self) -> Any:
        raise TypeError("A secret is not pickled: it would lie readable in a queue or a cache.")


class Undecryptable(ValueError):
    """No configured key opens a stored secret."""


def encrypt(text: str) -> str:
    """`text` under the newest key of FIELD_ENCRYPTION_KEYS (a Fernet token); "" stays ""."""
    return _keys(tuple(settings.FIELD_ENCRYPTION_KEYS)).encrypt(text.encode()).decode() if text else ""


def decrypt(sealed: str) -> str:
    """The text that `encrypt` sealed, by any of the keys. Raises `Undecryptable`."""
    try:
        return _keys(tuple(settings.FIELD_ENCRYPTION_KEYS)).decrypt(sealed).decode() if sealed else ""
    except InvalidToken:
        sentence = "No key in FIELD_ENCRYPTION_KEYS opens a stored secret: add the key it was stored with."
        raise Undecryptable(sentence) from None


@lru_cache(maxsize=4)
def _keys(configured: tuple[str, ...]) -> MultiFernet:
    """Any string serves as a key: HKDF (RFC 5869) makes 32 bytes of it. Newest first."""
    return MultiFernet([Fernet(base64.urlsafe_b64encode(_derive(key))) for key in configured])


def _derive(key: str) -> bytes:
    hkdf = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"release-portal field encryption")
    return hkdf.derive(key.encode())


def rotate() -> int:
    """Encrypts every stored secret anew under the newest key; returns how many.

    All or none: raises `Undecryptable` when one cannot be read. Afterwards older keys may be dropped.
    """
    count = 0
    with transaction.atomic():
        for model in apps.get_models():
            for field in model._meta.local_concrete_fields:
                if isinstance(field, EncryptedTextField):
                    count += _rotate_column(model, field.attname)
    return count


def _rotate_column(model: type[models.Model], name: str) -> int:
    rows = model._base_manager.select_for_update().exclude(**{name: None}).values_list("pk", name)
    for key, secret in rows:
        model._base_manager.filter(pk=key).update(**{name: Secret(secret.reveal())})
    return len(rows)


class _Hiding(DeferredAttribute):
    """Wraps whatever is assigned, so that an instance never holds a readable secret."""

    def __set__(self, instance: models.Model, value: Any) -> None:
        instance.__dict__[self.field.attname] = self.field.to_python(value)


class EncryptedTextField(models.TextField):
    """Stores text encrypted and gives it back as `Secret`; takes a `Secret` or a plain text.

    An empty secret is stored as an empty text, and being empty or null is all that can be searched for.
    """

    empty_values = [*validators.EMPTY_VALUES, Secret()]
    descriptor_class = _Hiding

    def from_db_value(self, value: str | None, expression: object, connection: object) -> Secret | None:
        return None if value is None else Secret(sealed=value)

    def to_python(self, value: Any) -> Any:
        return Secret(value) if isinstance(value, str) else value

    def get_prep_value(self, value: Any) -> str | None:
        if value is None:
            return None
        return encrypt(value.reveal() if isinstance(value, Secret) else str(value))

    def get_lookup(self, lookup_name: str) -> Any:
        if lookup_name not in {"exact", "isnull"}:
            raise FieldError("An encrypted field cannot be searched.")
        return super().get_lookup(lookup_name)

    def value_to_string(self, obj: models.Model) -> str:
        """For dumpdata: dots, so that a dump holds no secret, not even an encrypted one."""
        return HIDDEN if self.value_from_object(obj) else ""

    def formfield(self, **kwargs: Any) -> Any:
        return super().formfield(**{**kwargs, "form_class": SecretField, "widget": SecretInput})

    def save_form_data(self, instance: models.Model, data: Any) -> None:
        """Sets what was typed; an empty input leaves what is stored, the ticked box clears it."""
        if data is CLEAR:
            setattr(instance, self.attname, Secret())
        elif data:
            setattr(instance, self.attname, Secret(data))


CLEAR = object()


class SecretInput(forms.PasswordInput):
    """A password input that is always empty, with a box to clear what is stored."""

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__({"autocomplete": "new-password", **(attrs or {})}, render_value=False)

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        typed = super().render(name, None, attrs, renderer)
        if not (isinstance(value, Secret) and value):
            return typed
        box = '{} <label><input type="checkbox" name="{}-clear"> Remove the stored value</label>'
        return format_html(box, typed, name)

    def value_from_datadict(self, data: Mapping[str, Any], files: Any, name: str) -> Any:
        return data.get(name) or (CLEAR if f"{name}-clear" in data else "")

    def value_omitted_from_data(self, data: Mapping[str, Any], files: Any, name: str) -> bool:
        return name not in data and f"{name}-clear" not in data


class SecretField(forms.CharField):
    """Write-only: empty means unchanged, so it is required only where nothing is stored yet."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"strip": False, **kwargs})

    def get_bound_field(self, form: Any, field_name: str) -> forms.BoundField:
        self.required = self.required and not form.get_initial_for_field(self, field_name)
        return super().get_bound_field(form, field_name)

    def clean(self, value: Any) -> Any:
        if value is not CLEAR:
            return super().clean(value)
        if self.required:
            raise ValidationError(self.error_messages["required"], code="required")
        return CLEAR

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(data)


def redact(text: str, secrets: Iterable[str | Secret]) -> str:
    """`text` with each secret replaced by dots, also as it reads in a URL, in JSON, in base64 or stripped.

    Secrets of fewer than four characters are left: to hide "a" would hide every a, and thereby tell it.
    """
    known = {secret.reveal() if isinstance(secret, Secret) else secret for secret in secrets}
    spellings = {spelling for secret in known for spelling in _spellings(secret) if len(spelling) >= 4}
    if not spellings:
        return text
    # Longest first, so that a secret which begins with another one goes whole.
    return re.sub("|".join(map(re.escape, sorted(spellings, key=len, reverse=True))), HIDDEN, text)


def _spellings(secret: str) -> Iterator[str]:
    for text in (secret, secret.strip()):
        raw = text.encode(errors="surrogatepass")
        yield text
        yield from (quote(raw), quote(raw, safe=""), quote_plus(raw))
        yield from (json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], repr(text)[1:-1])
        yield base64.b64encode(raw).decode()


def describe_token(raw: str) -> list[str]:
    """What is wrong with how a token was given, one sentence each, never a part of the token itself."""
    if not raw.strip():
        return [f"It is nothing but {len(raw)} characters of whitespace." if raw else "It is empty."]
    before, after = len(raw) - len(raw.lstrip()), len(raw) - len(raw.rstrip())
    inner = raw.strip()
    quoted = inner[0] in QUOTES or inner[-1] in QUOTES
    outside = sum(not character.isascii() for character in inner)
    controls = sum(character < " " or character == "\x7f" for character in inner)
    faults = {
        f"It begins with whitespace ({before} of its {len(raw)} characters).": before,
        f"It ends with whitespace ({after} of its {len(raw)} characters).": after,
        "It ends with a newline.": raw.endswith("\n"),
        "It contains a carriage return, as files from Windows do.": "\r" in raw,
        "It is in quotes: give it without them.": quoted,
        "It begins with a scheme such as “Bearer”: give the token alone.": SCHEME.match(inner.strip(QUOTES)),
        f"It contains characters outside ASCII ({outside}).": outside,
        f"It contains control characters ({controls}).": controls,
        "It contains whitespace in its middle.": len(SCHEME.sub("", inner.strip(QUOTES)).split()) > 1,
    }
    return [sentence for sentence, found in faults.items() if found]


QUOTES = "\"'`“”‘’"
SCHEME = re.compile(r"(?:bearer|token|basic)\s+", re.IGNORECASE)
