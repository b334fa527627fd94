"""The register of roles. A new role is one file here that calls `role`, and its line in `ROLES`."""

from dataclasses import dataclass

from portal.registry import Registry, within


@dataclass(frozen=True)
class Role:
    """A group of people and what they may do: `app.codename` of permissions.

    A permission is declared by its model (`Meta.permissions`) and demanded by an action; one whose
    model does not exist yet is left out until it does.
    """

    name: str
    permissions: tuple[str, ...]


ROLES: Registry[Role] = Registry(
    within("portal.accounts.roles", "release_managers", "approvers", "auditors", "administrators")
)


def role(name: str, *permissions: str) -> Role:
    """Register a role and return it."""
    return ROLES.add(name, Role(name, permissions))
