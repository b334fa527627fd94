"""What a person must prove before a dangerous action in a project."""

from django.core.validators import MaxValueValidator
from django.db import models

from portal.models.sign_in_policy import Policy


class SignInRules(models.Model):
    """Whether a second factor is required, and how recent the sign-in must be."""

    second_factor = models.BooleanField(
        "Require a second factor",
        default=False,
        help_text="To promote, approve, accept a risk, roll back, skip or reset.",
    )
    sign_in_minutes = models.PositiveSmallIntegerField(
        "Require a recent sign-in (minutes)",
        null=True,
        blank=True,
        validators=[MaxValueValidator(24 * 60)],
        help_text="For the same actions. Leave empty to accept any sign-in.",
    )

    class Meta:
        abstract = True
        verbose_name = "Sign-in"

    @property
    def sign_in_policy(self) -> Policy:
        """What a person must have proven before a dangerous action."""
        return Policy(self.second_factor, self.sign_in_minutes)
