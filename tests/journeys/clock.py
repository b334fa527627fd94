"""The time of a journey: it flows as usual, and is put forward while nobody has anything to do."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.apps import apps
from django.utils import timezone

_now = timezone.now


class Clock:
    """Tells the time to the portal and to the stand-ins alike: the machine's, and what it was
    put forward.
    """

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        """An aware time that never goes back."""
        return _now() + self.ahead

    def reach(self, moment: datetime) -> None:
        """Puts the clock forward to `moment`, unless it is there already."""
        self.ahead += max(moment - self.now(), timedelta())


@contextmanager
def set_by(clock: Clock) -> Iterator[None]:
    """Lets Django tell the time of `clock`: `timezone.now`, and every field that is filled in
    from it.
    """
    fields = [
        field
        for model in apps.get_models()
        for field in model._meta.local_fields
        if field.default is _now
    ]
    _set(fields, clock.now)
    try:
        yield
    finally:
        _set(fields, _now)


def _set(fields: list, now) -> None:
    timezone.now = now
    for field in fields:
        field.default = now
        field.__dict__.pop("_get_default", None)  # Django keeps the default that it found first
