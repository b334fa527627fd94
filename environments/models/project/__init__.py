"""A project: one product, that is a GitHub repository and a Railway project.

Each concern is one file with one abstract model: its fields, validators and properties. To add a
setting, add a field to its concern: the page *Project settings* and the admin show it.
"""

from django.db import models

from environments.models.project.branches import LongLivedBranches
from environments.models.project.general import REPOSITORY_NAME, General, check_git_address
from environments.models.project.migrations import MigrationRules
from environments.models.project.previews import PreviewRules
from environments.models.project.protection import ProtectionRules, default_checks
from environments.models.project.pull_requests import PullRequestRules
from environments.models.project.releases import DeployOrder, ReleaseRules
from environments.models.project.sign_in import SignInRules

__all__ = [
    "REPOSITORY_NAME",
    "DeployOrder",
    "Project",
    # Named by landed migrations under this module:
    "check_git_address",
    "default_checks",
    "settings_of",
]


class Project(
    General,
    LongLivedBranches,
    ReleaseRules,
    PullRequestRules,
    PreviewRules,
    ProtectionRules,
    MigrationRules,
    SignInRules,
):
    """One product. Its concerns stand in the order of the page *Project settings*."""

    class Meta:
        ordering = ["name"]
        constraints = [*LongLivedBranches.Meta.constraints, *General.Meta.constraints]


def settings_of(concern: type[models.Model]) -> list[str]:
    """Return the names of the concern's fields that people set, in the order of its file."""
    return [field.name for field in concern._meta.fields if field.editable]
