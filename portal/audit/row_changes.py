"""What changed: the stored fields of a row before and after, as the trail shows them; of a secret
only that it changed.
"""

import getpass
import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from django.contrib.auth.models import Permission
from django.db.models import Field, Model, TextField
from django.db.models.functions import Cast

from portal import audit
from portal.audit import Actor
from portal.outbound.parsing import JsonObject
from portal.redaction import HIDDEN
from portal.secrets import EncryptedTextField

Stored = JsonObject

CHANGED = "changed"  # all that the trail says of a secret
SHOWN_CHARS = 500
_SECRET_NAMES = frozenset({"password"})
_PASSWORD_IN_ADDRESS = re.compile(r"(://[^/\s:@]*):[^/\s@]+@")


class Hidden(str):
    """The digest of a secret: it can be compared, and is never shown."""

    __slots__ = ()


def stored(row: Model, *, lock: bool = False) -> Stored:
    """Return the fields and links of `row` as the database holds them now; empty when it is gone.

    With `lock` nobody else changes the row until the transaction ends.
    """
    model = row._meta.model
    hidden = [field.attname for field in model._meta.concrete_fields if _is_secret(field)]
    plain = [field.name for field in model._meta.concrete_fields if field.attname not in hidden]
    rows = model._base_manager.filter(pk=row.pk)
    if lock:
        rows = rows.select_for_update()
    # A secret is read as it lies there, encrypted: one whose key is gone must not stop a change.
    raw = {f"raw_{name}": Cast(name, TextField()) for name in hidden}
    row_values = rows.values(*plain, **raw).first()
    if row_values is None:
        return {}
    held: Stored = {name: _told(model._meta.get_field(name), row_values[name]) for name in plain}
    held |= {name: Hidden(_digest(row_values[f"raw_{name}"])) for name in hidden}
    for link in model._meta.many_to_many:
        linked = getattr(row, link.name).all()
        # With what a name is made of: a permission's begins with its content type's.
        owners = [field.name for field in linked.model._meta.concrete_fields if field.many_to_one]
        held[link.name] = sorted(map(_named, linked.select_related(*owners) if owners else linked))
    return held


def difference(before: Mapping[str, object], after: Mapping[str, object]) -> dict[str, object]:
    """Return `{field: {"from": …, "to": …}}` where they differ (None: absent); of a secret
    `"changed"`.
    """
    changed: dict[str, object] = {}
    for name in {**before, **after}:
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        secret = isinstance(old, Hidden) or isinstance(new, Hidden)
        changed[name] = CHANGED if secret else {"from": _shown(old), "to": _shown(new)}
    return changed


def with_children(
    row: Model, children: Iterable[tuple[type[Model], str]], *, lock: bool = False
) -> Stored:
    """Return `stored(row)` and, under names such as `smoke test 3: path`, rows that link to it."""
    held = stored(row, lock=lock)
    for model, link in children:
        for child in model._base_manager.filter(**{link: row.pk}).only("pk").order_by("pk"):
            name = f"{model._meta.verbose_name} {child.pk}"
            held |= {
                f"{name}: {field}": value for field, value in stored(child).items() if field != link
            }
    return held


def record(
    row: Model,
    before: Mapping[str, object],
    after: Mapping[str, object],
    *,
    actor: Actor,
    by: str = "",
    data: Mapping[str, object] | None = None,
) -> bool:
    """Write the event that `row` was added, changed or deleted, if it was, in the caller's
    transaction; return whether. `by` says how, where there is no actor.
    """
    changes = difference(before, after)
    if not changes:
        return False
    done = "added" if not before else "changed" if after else "deleted"
    sentence = f"{str(row._meta.verbose_name).capitalize()} {row} was {done}{by and ' '}{by}."
    details = {**(data or {}), "changes": changes}
    audit.record(f"configuration.{done}", actor=actor, subject=row, sentence=sentence, data=details)
    return True


def at_the_shell(command: str) -> str:
    """Return how the trail names who ran `manage.py command`: by the system's account, at least."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # an account without a name
        user = "an unnamed account"
    return f"by `manage.py {command}`, run by {user} of the system"


def _is_secret(field: Field) -> bool:
    return isinstance(field, EncryptedTextField) or field.name in _SECRET_NAMES


def _told(field: Any, value: object) -> object:
    """Return a value as it is; a link to another row with that row's name."""
    if not field.is_relation or value is None:
        return value
    linked = field.remote_field.model._base_manager.filter(pk=value).first()
    return f"{linked} ({value})"


def _digest(secret: str | None) -> str:
    return hashlib.sha256(secret.encode()).hexdigest() if secret else ""


def _named(linked: Model) -> str:
    """Return how a linked row is called; a permission by its code, as roles are written."""
    if isinstance(linked, Permission):
        return f"{linked.content_type.app_label}.{linked.codename}"
    return str(linked)


def _shown(value: object) -> object:
    """Return the value without a password in an address, as long as needed to recognise it."""
    if isinstance(value, str):
        value = _PASSWORD_IN_ADDRESS.sub(rf"\1:{HIDDEN}@", value)
    if isinstance(value, str) and len(value) > SHOWN_CHARS:
        return f"{value[:SHOWN_CHARS]}… ({len(value)} characters, SHA-256 {_digest(value)})"
    return value
