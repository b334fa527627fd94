"""What a release of a project needs before its promotion, and what a rollback needs."""

from django.core.validators import MaxValueValidator
from django.db import models


class DeployOrder(models.TextChoices):
    """Whether new code or the new schema comes first in a promotion."""

    DEPLOY_FIRST = "deploy_first", "deploy, then migrate"
    MIGRATE_FIRST = "migrate_first", "migrate, then deploy"


class ReleaseRules(models.Model):
    """Approvals, checks and times that a promotion or a rollback must respect."""

    required_approvals = models.PositiveSmallIntegerField(
        default=1,
        validators=[MaxValueValidator(5)],
        help_text=(
            "People besides the one who cut a release. 0: one person alone can ship to production."
        ),
    )
    required_checks = models.JSONField(
        default=list,
        blank=True,
        help_text="Names required besides those that branch protection requires.",
    )
    soak_minutes = models.PositiveIntegerField(
        default=30,
        validators=[MaxValueValidator(14 * 24 * 60)],
        help_text="Observation in staging after migrating.",
    )
    deploy_order = models.CharField(
        max_length=20, choices=DeployOrder, default=DeployOrder.DEPLOY_FIRST
    )
    deploy_minutes = models.PositiveIntegerField(
        default=20, help_text="How long a deployment may take before a person is asked."
    )
    rollback_approvals = models.PositiveSmallIntegerField(
        default=1,
        validators=[MaxValueValidator(5)],
        help_text="People besides the one who asks for a rollback.",
    )
    retention_hours = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        default=24,
        help_text=(
            "How long Railway keeps the image of a deployment that was replaced: Free 24, Hobby 72,"
            " Pro 120, Enterprise 360. Empty: not known."
        ),
    )

    class Meta:
        abstract = True
        verbose_name = "Release rules"
