"""What may be changed by two people only: every field that is not listed as free."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.utils.module_loading import import_string

from portal.configuration.signing import holders
from portal.models.configuration import ConfigurationChange
from portal.secrets import EncryptedTextField
from portal.ui.actions import Refused

CONFIRM = "portal.confirm_configurationchange"
Values = dict[str, Any]


class Kind[M: Model]:
    """One model. Subclasses add what is no plain column, and say when one person is enough."""

    permission: ClassVar[str]  # what who proposes must hold, also when it is confirmed
    free: ClassVar[frozenset[str]] = frozenset()
    many: ClassVar[tuple[str, ...]] = ()  # fields whose values are rows of another model
    new_too: ClassVar[bool] = False  # whether what is given with a new row is guarded as well

    def columns(self, obj: M) -> tuple[str, ...]:
        """Return the guarded plain columns."""
        return tuple(
            field.name
            for field in obj._meta.concrete_fields
            if field.name not in self.free
            and not (field.primary_key or field.is_relation or not field.editable)
            and not isinstance(field, EncryptedTextField)
        )

    def names(self, name: str, rows: Iterable[object]) -> list[str]:
        """Return rows of another model as a proposal names them."""
        return sorted(map(str, rows))

    def read(self, obj: M) -> Values:
        """Return all that is guarded, as JSON says it."""
        return {name: getattr(obj, name) for name in self.columns(obj)}

    def write(self, obj: M, values: Values, secrets: Mapping[str, str]) -> None:
        """Set the plain columns among `values`, and save. Raise `Refused` as the model does."""
        names = [name for name in values if name in self.columns(obj)]
        for name in names:
            setattr(obj, name, values[name])
        others = {field.name for field in obj._meta.fields}.difference(names)
        try:
            obj.clean_fields(exclude=others)
            obj.validate_constraints()
        except ValidationError as error:
            raise Refused(" ".join(error.messages)) from None
        if names:
            obj.save(update_fields=names)

    def refuse(self, obj: M, before: Values, values: Values, actor: User) -> None:
        """Raise `Refused` for what `actor` must not propose at all; `before`: what is there."""

    def refuse_second(self, change: ConfigurationChange, obj: M, actor: User) -> None:
        """Raise `Refused` where `actor` must not be the second person."""

    def harmless(self, name: str, value: object) -> bool:
        """Return whether setting the field to `value` only takes away, and needs nobody else."""
        return False

    def alone(self, obj: M, actor: User) -> str:
        """Return why one person is enough now; "" where a second is needed."""
        return nobody_else(actor)

    def applied(self, change: ConfigurationChange, obj: M, *, now: datetime) -> str:
        """Return what follows from a change that was applied; a sentence for the event, or ""."""
        return ""


def nobody_else(actor: User) -> str:
    """Return why there is no second person, as long as nobody else, active or not, may confirm."""
    others = holders(CONFIRM).exclude(pk=actor.pk)
    return "" if others.exists() else "nobody else may confirm changes yet"


def stored[M: Model](model: type[M]) -> QuerySet[M]:
    """Return the rows of `model` without their secrets: one whose key is gone stops nothing."""
    secret = [field.name for field in model._meta.fields if isinstance(field, EncryptedTextField)]
    return model._base_manager.defer(*secret)


@cache
def _kinds() -> dict[str, Kind[Any]]:
    return {label: import_string(path)() for label, path in settings.CONFIGURATION_KINDS.items()}


def kind_of(obj: Model | type[Model]) -> Kind[Any]:
    """Return how `obj` is guarded; raise `KeyError` for a model that is not."""
    return _kinds()[obj._meta.label_lower]
