"""How a service is built, and whether a release waits for it. Pure over rows."""

from enum import StrEnum

from environments.models import Deployment, ServiceInstance


class Role(StrEnum):
    """Where what a service runs comes from."""

    CODE = "code"  # the project's repository
    ELSEWHERE = "elsewhere"  # another repository
    IMAGE = "image"  # a registry: a database, a cache
    UPLOADED = "uploaded"  # somebody's machine, by Railway's CLI
    EMPTY = "empty"  # nothing was ever deployed on it


def role_of(instance: ServiceInstance, latest: Deployment | None, repository: str) -> Role:
    """Return what `instance` is made of; `repository` is the project's. What has a commit and no
    source counts as code.
    """
    if instance.repository:
        return Role.CODE if instance.repository.lower() == repository.lower() else Role.ELSEWHERE
    if instance.image:
        return Role.IMAGE
    if latest is None:
        return Role.EMPTY
    return Role.CODE if latest.commit else Role.UPLOADED


def belongs(message: bool | None, role: Role) -> bool:
    """Return whether a release waits for a service: as people `said`, else what is built from the
    project's repository.
    """
    return role is Role.CODE if message is None else message
