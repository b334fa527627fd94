"""Whose signature counts now: who is active and holds the right, but did not give it themselves."""

from typing import Any

from django.contrib.auth.models import User
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from portal.audit import Actor
from portal.models.configuration import RoleGrant
from portal.ui.actions import Refused

SELF_GIVEN = (
    "You gave yourself the role that allows this, so your signature does not count: somebody else"
    " must give it."
)


def holders(permission: str) -> "QuerySet[User]":
    """Return all, active or not, who hold `permission` by a right they did not give themselves."""
    app, codename = permission.split(".")
    own = RoleGrant.objects.filter(granted_by=F("user"))
    member: Any = User.groups.through
    by_role = member.objects.filter(
        user=OuterRef("pk"),
        group__permissions__codename=codename,
        group__permissions__content_type__app_label=app,
    ).exclude(Exists(own.filter(user=OuterRef("user"), group=OuterRef("group"))))
    single: Any = User.user_permissions.through
    by_itself = single.objects.filter(
        user=OuterRef("pk"), permission__codename=codename, permission__content_type__app_label=app
    )
    own_rights = Exists(own.filter(user=OuterRef("pk"), group=None))
    return User.objects.filter(
        Q(Exists(by_role)) | (~Q(own_rights) & (Q(is_superuser=True) | Q(Exists(by_itself))))
    )


def signers(permission: str) -> "QuerySet[User]":
    """Return everybody whose signature under something that needs `permission` counts now."""
    return holders(permission).filter(is_active=True)


def counts(permission: str, person: str = "user") -> Exists:
    """Return whether the signature of the row's `person` counts now, for a query of approvals."""
    return Exists(signers(permission).filter(pk=OuterRef(person)))


def may_sign(user: Actor, permission: str) -> bool:
    """Return whether this person's signature counts now. One query."""
    return user is not None and signers(permission).filter(pk=user.pk).exists()


def require(actor: Actor, permission: str) -> None:
    """Raise `Refused` where `actor`, who has the permission, gave it to themselves."""
    if actor is not None and not may_sign(actor, permission):
        raise Refused(SELF_GIVEN)


def require_second(actor: Actor, permission: str, first: int | None, sentence: str) -> User:
    """Return `actor`, whose signature counts now. Raise `Refused`, with `sentence` for the person
    `first` and for the portal itself.
    """
    if actor is None or actor.pk == first:
        raise Refused(sentence)
    require(actor, permission)
    return actor
