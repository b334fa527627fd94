"""What GitHub must require of the long-lived branches of a project."""

from django.core.validators import MaxValueValidator
from django.db import models


def default_checks() -> list[str]:
    """Return no check: one that never runs would stop every merge, so people name those that do."""
    return []


class ProtectionRules(models.Model):
    """The branch protection that the portal expects on GitHub, and the App that may bypass it."""

    protected_approvals = models.PositiveSmallIntegerField(
        "Approvals of a pull request", default=1, validators=[MaxValueValidator(6)]
    )
    protected_checks = models.JSONField(
        "Required checks of both branches",
        default=default_checks,
        blank=True,
        help_text="One a line. Only checks that run: one that never runs stops every merge.",
    )
    portal_app = models.CharField(
        "GitHub App of the portal",
        max_length=100,
        blank=True,
        default="",
        help_text="Its slug. Only this App may bypass the pull-request rule of staging.",
    )

    class Meta:
        abstract = True
        verbose_name = "Branch protection"
