"""Which branch and which name an environment is expected to have."""

from collections.abc import Iterable

from environments.models import EnvironmentKind, Project


def expected_branches(project: Project) -> dict[str, str]:
    """Return kind of environment → the branch it must deploy from."""
    return {
        EnvironmentKind.STAGING: project.staging_branch,
        EnvironmentKind.PRODUCTION: project.production_branch,
    }


def expected_names(project: Project) -> dict[str, str]:
    """Return kind of environment → what it is called on Railway."""
    return {
        EnvironmentKind.STAGING: project.staging_environment,
        EnvironmentKind.PRODUCTION: project.production_environment,
    }


def meant(name: str, there: Iterable[str]) -> str | None:
    """Return which of the names that are there is meant by `name`: the same, else the only one that
    differs in case alone.
    """
    names = list(there)
    if name in names:
        return name
    alike = {candidate for candidate in names if candidate.casefold() == name.casefold()}
    return alike.pop() if len(alike) == 1 else None
