"""What every action of a person shares: permission first, one transaction, and an event even for a
refusal.

An action is a function `action(subject, *, actor, ...)`. Its body locks rows, asks gates, changes
rows and records its audit event last. `actor` is a user, or None for the portal itself.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import cast

from django.db import IntegrityError, transaction
from django.db.models import Model

from portal import audit
from portal.audit import Actor
from portal.models import sign_in_policy
from portal.ui import recent_sign_in


class Refused(Exception):
    """The action may not happen now; the message is one sentence for the person who tried."""


class NotPermitted(Refused):
    """The person may not do this at all."""


class NotProven(Refused):
    """The project demands that the person proves first who they are; `policy` says how."""

    def __init__(self, sentence: str, policy: sign_in_policy.Policy) -> None:
        super().__init__(sentence)
        self.policy = policy


def action[**P, R](
    name: str, permission: str, *, guarded: bool = False
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorate an action: check `permission`, open the transaction, record a refusal as `name`.

    `guarded`: it is dangerous, and the subject's project may demand a recent sign-in and a second
    factor.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            first, actor = args[0], cast(Actor, kwargs["actor"])
            # Some actions begin with no row: a repository to be read, a credential to be kept.
            subject = first if isinstance(first, Model) else None
            try:
                require(actor, permission)
                if guarded:
                    require_proof(actor, recent_sign_in.policy_of(subject))
                with transaction.atomic():
                    return function(*args, **kwargs)
            except Refused as refusal:
                with transaction.atomic():
                    audit.record(
                        name, actor=actor, subject=subject, outcome="refused", sentence=str(refusal)
                    )
                raise

        return run

    return decorate


def require(actor: Actor, permission: str) -> None:
    """Raise `NotPermitted` unless `actor` is the portal itself or an active user who has
    `permission`.
    """
    if actor is not None and not actor.has_perm(permission):
        wanted = permission.split(".")[-1].replace("_", " ")
        raise NotPermitted(f"You are not allowed to do this. It needs the permission “{wanted}”.")


def require_proof(actor: Actor, policy: sign_in_policy.Policy, now: datetime | None = None) -> None:
    """Raise `NotProven` unless the session in which `actor` acts has proven what `policy` demands.

    A job or a command has no session, so where something is demanded it cannot do what a person
    must.
    """
    sign_in = getattr(actor, "sign_in", None)
    lacks = recent_sign_in.lacking(sign_in, policy, now)
    if not lacks:
        return
    if sign_in is None:
        raise NotProven("Only a person who is signed in to the portal can do this.", policy)
    raise NotProven(
        f"Confirm your identity first with your {' and '.join(lacks)}. Nothing was done yet.",
        policy,
    )


def require_seen(actor: Actor, seen: str | None, what: str) -> None:
    """Raise `Refused` when a person acts without having said which `what` their page showed.

    None is for a caller in this process that has just read it and has no page; nothing that comes
    in by a form is.
    """
    if not seen and (seen is not None or hasattr(actor, "sign_in")):
        raise Refused(
            f"Your page did not say which {what} it showed. Nothing was done. Reload the page."
        )


@contextmanager
def refuse_second(message: str) -> Iterator[None]:
    """Raise `Refused` with `message` where the database's constraint finds another such row."""
    try:
        with transaction.atomic():
            yield
    except IntegrityError:
        raise Refused(message) from None


def require_reason(reason: str) -> None:
    """Raise `Refused` for an empty reason.

    The form asks first, in words of its own; this holds for other callers.
    """
    if not reason.strip():
        raise Refused("Give a reason. Nothing was done.")
