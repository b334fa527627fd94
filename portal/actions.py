"""What every action of a person shares: permission first, one transaction, and an event even for a refusal.

An action is a function `action(subject, *, actor, ...)`. Its body locks rows, asks gates, changes rows and records
its audit event last. `actor` is a user, or None for the portal itself.
"""

import functools
from collections.abc import Callable
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from portal import audit


class Refused(Exception):
    """The action may not happen now; the message is one sentence for the person who tried."""


class NotPermitted(Refused):
    """The person may not do this at all."""


def action(name: str, permission: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorates an action: checks `permission`, opens the transaction, records a refusal as `name`."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def run(subject: Any, *, actor: AbstractBaseUser | None, **arguments: Any) -> Any:
            try:
                require(actor, permission)
                with transaction.atomic():
                    return function(subject, actor=actor, **arguments)
            except Refused as refusal:
                with transaction.atomic():
                    audit.record(name, actor=actor, subject=subject, outcome="refused", sentence=str(refusal))
                raise

        return run

    return decorate


def require(actor: Any, permission: str) -> None:
    """Raises `NotPermitted` unless `actor` is the portal itself or an active user who has `permission`."""
    if actor is not None and not actor.has_perm(permission):
        wanted = permission.split(".")[-1].replace("_", " ")
        raise NotPermitted(f"You are not allowed to do this: it needs the permission “{wanted}”.")
