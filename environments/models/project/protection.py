"""What GitHub must require of the long-lived branches of a project."""

from django.core.validators import MaxValueValidator
from django.db import models


def default_checks() -> list[str]:
    """Return no check: one that never runs would stop every merge, so people name those that do."""
    return []


class ProtectionRules(models.Model):
    """The branch protection that the portal expects on GitHub, and the App that may bypass it."""

    protected_approvals = models.PositiveSmallIntegerField(
        default=1,
        validators=[MaxValueValidator(6)],
        help_text="Approvals that a pull request is to need.",
    )
    protected_checks = models.JSONField(
        default=default_checks,
        blank=True,
        help_text="Checks that both long-lived branches are to require.",
    )
    portal_app = models.CharField(
        "The portal's App",
        max_length=100,
        blank=True,
        default="",
        help_text=(
            "Slug of the GitHub App with which the portal fast-forwards staging past its"
            " pull-request rule."
        ),
    )

    class Meta:
        abstract = True
        verbose_name = "Branch protection"
