"""Accounts and roles as guarded configuration: a right takes two people, and never its holder."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.contrib.auth.models import Group, Permission, User
from django.db.models import Q

from portal.configuration.kinds import Kind, Values
from portal.models.configuration import ConfigurationChange, RoleGrant
from portal.ui.actions import Refused

FLAGS = ("is_superuser", "is_staff", "is_active")
AS_IT_IS = "as it is"


def code_of(permission: Permission) -> str:
    return f"{permission.content_type.app_label}.{permission.codename}"


def permissions_by_code() -> dict[str, Permission]:
    return {
        code_of(permission): permission
        for permission in Permission.objects.select_related("content_type")
    }


def permissions_of(codes: Iterable[str]) -> list[Permission]:
    """Return the permissions with these codes; raise `Refused` for one that does not exist."""
    known = permissions_by_code()
    if missing := [code for code in codes if code not in known]:
        raise Refused(f"The permission {missing[0]} no longer exists. Decline this change.")
    return [known[code] for code in codes]


class People(Kind[User]):
    """Roles, single permissions, the flags, and the password of somebody who may sign."""

    permission = "auth.change_user"
    many = ("groups", "user_permissions")
    new_too = True

    def columns(self, obj: User) -> tuple[str, ...]:
        return FLAGS

    def names(self, name: str, rows: Iterable[Any]) -> list[str]:
        return sorted(row.name if name == "groups" else code_of(row) for row in rows)

    def read(self, obj: User) -> Values:
        single = obj.user_permissions.select_related("content_type")
        return super().read(obj) | {
            "password": AS_IT_IS,
            "groups": self.names("groups", obj.groups.all()),
            "user_permissions": self.names("user_permissions", single),
        }

    def write(self, obj: User, values: Values, secrets: Mapping[str, str]) -> None:
        if "groups" in values:
            groups = list(Group.objects.filter(name__in=values["groups"]))
            if len(groups) < len(values["groups"]):
                raise Refused("One of these roles no longer exists. Decline this change.")
            obj.groups.set(groups)
        if "user_permissions" in values:
            obj.user_permissions.set(permissions_of(values["user_permissions"]))
        if "password" in secrets:
            obj.password = secrets["password"]
            obj.save(update_fields=["password"])
        super().write(obj, values, secrets)

    def harmless(self, name: str, value: object) -> bool:
        # Shutting somebody out must not wait; the roles stay, so nobody becomes the only one who
        # may confirm.
        return name in ("is_active", "is_staff") and not value

    def refuse(self, obj: User, before: Values, values: Values, actor: User) -> None:
        if actor.pk == obj.pk and _gained(before, values):
            advice = "Ask another administrator."
            raise Refused(f"You cannot give yourself a role or permission. {advice}")

    def refuse_second(self, change: ConfigurationChange, obj: User, actor: User) -> None:
        if actor.pk == obj.pk:
            raise Refused("This change concerns you, so somebody else must confirm it.")

    def applied(self, change: ConfigurationChange, obj: User, *, now: datetime) -> str:
        """Keep who granted what; a role that was taken away leaves no grant behind."""
        before = {name: value["from"] for name, value in change.values.items()}
        gained = _gained(before, {name: value["to"] for name, value in change.values.items()})
        roles = list(Group.objects.filter(name__in=gained.get("groups", ())))
        own = [None] if set(gained) & {"is_superuser", "user_permissions"} else []
        given = change.decided_by if change.decided_by_id != change.proposed_by_id else None
        for group in (*roles, *own):
            RoleGrant.objects.update_or_create(
                user=obj,
                group=group,
                defaults={"granted_by": change.proposed_by, "confirmed_by": given, "at": now},
            )
        RoleGrant.objects.filter(user=obj, group__isnull=False).exclude(
            group__in=obj.groups.all()
        ).delete()
        return ""


def _gained(before: Values, after: Values) -> Values:
    """Return what a change of an account adds: flags that come on, new roles and permissions."""
    gained: Values = {}
    for name, value in after.items():
        if isinstance(value, list):
            gained[name] = sorted(set(value) - set(before.get(name) or ()))
        elif value is True and before.get(name) is not True:
            gained[name] = True
    return {name: value for name, value in gained.items() if value}


class Roles(Kind[Group]):
    """What a role may do, and its name, by which the shipped ones are found."""

    permission = "auth.change_group"
    many = ("permissions",)
    new_too = True

    def columns(self, obj: Group) -> tuple[str, ...]:
        return ("name",)

    def names(self, name: str, rows: Iterable[Any]) -> list[str]:
        return sorted(map(code_of, rows))

    def read(self, obj: Group) -> Values:
        held = obj.permissions.select_related("content_type")
        return super().read(obj) | {"permissions": self.names("permissions", held)}

    def write(self, obj: Group, values: Values, secrets: Mapping[str, str]) -> None:
        if "permissions" in values:
            obj.permissions.set(permissions_of(values["permissions"]))
        super().write(obj, values, secrets)

    def refuse(self, obj: Group, before: Values, values: Values, actor: User) -> None:
        self._refuse_holder(obj, actor, "change")

    def refuse_second(self, change: ConfigurationChange, obj: Group, actor: User) -> None:
        self._refuse_holder(obj, actor, "confirm")

    def _refuse_holder(self, obj: Group, actor: User, what: str) -> None:
        if obj.user_set.filter(pk=actor.pk).exists():
            other = f"somebody else must {what} its permissions."
            raise Refused(f"You hold the role {obj.name}, so {other}")


def may_ever_sign(person: User) -> bool:
    """Return whether the person may sign anything: then a new password takes two people."""
    codes = ("approve_release", "sign_reset", "confirm_configurationchange")
    held = Permission.objects.filter(Q(group__user=person) | Q(user=person), codename__in=codes)
    return person.is_superuser or held.exists()
