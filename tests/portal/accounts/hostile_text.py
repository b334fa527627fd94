"""Puts hostile text into every column of every row that holds text, and looks for it in what
pages answer.
"""

from django.apps import apps
from django.db import DataError, IntegrityError, models, transaction
from django.db.models.fields.json import JSONField

from portal import invisible_characters
from portal.secrets import EncryptedTextField

# By these rows are found, compared or called; a hostile one is another thing than the one that is
# looked for.
IDENTITY = {
    "slug",
    "candidate",
    "commit",
    "status",
    "kind",
    "repository",
    "gate",
    "phase",
    "session_key",
    "password",
    "codename",
    "app_label",
    "model",
    "action",
    "runner",
    "deploy_order",
    "state",
    "sha",
    "head",
    "version_table",
    "alembic",
    "username",
    "severity",
    "name_of",
}
APPS = ("portal", "environments", "releases", "auth")


def spoil(message: str) -> int:
    """Adds `said` to every text of every row, also within JSON; how many columns now hold it."""
    count = 0
    for model in apps.get_models():
        if model._meta.app_label not in APPS or not model._meta.managed:
            continue
        for field in model._meta.concrete_fields:
            if field.name in IDENTITY or field.choices or field.is_relation or field.primary_key:
                continue
            count += _spoiled(model, field, message)
    return count


def _spoiled(model: type[models.Model], field: models.Field, message: str) -> int:
    if isinstance(field, EncryptedTextField) or not isinstance(
        field, models.CharField | models.TextField | JSONField
    ):
        return 0
    done = 0
    for row in model._base_manager.only("pk", field.name):
        value = getattr(row, field.name)
        new = (
            _within(value, message)
            if isinstance(field, JSONField)
            else f"{value or ''}{message}"[: field.max_length]
        )
        try:
            with transaction.atomic():
                model._base_manager.filter(pk=row.pk).update(**{field.name: new})
        except (IntegrityError, DataError):
            continue  # the database itself keeps it out
        done = 1
    return done


def _within(value: object, message: str) -> object:
    if isinstance(value, dict):
        return {
            name: _within(one, message) if name not in IDENTITY else one
            for name, one in value.items()
        }
    if isinstance(value, list):
        return [_within(one, message) for one in value]
    return f"{value}{message}" if isinstance(value, str) and len(value) not in (40, 64) else value


def raw(text: str) -> set[str]:
    """The signs in `text` that cannot be seen and that no script is spelt with."""
    spelt = set("\u200c\u200d\ufe0e\ufe0f\r")
    return {sign for sign in text if invisible_characters._ANY.match(sign) and sign not in spelt}
