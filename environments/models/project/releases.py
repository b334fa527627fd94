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
        "Approvals for a promotion",
        default=1,
        validators=[MaxValueValidator(5)],
        help_text=(
            "By people other than the one who created the release. With 0, one person alone can"
            " promote to production."
        ),
    )
    required_checks = models.JSONField(
        "Required checks",
        default=list,
        blank=True,
        help_text="One a line, in addition to the checks that branch protection requires.",
    )
    soak_minutes = models.PositiveIntegerField(
        "Soak time (minutes)",
        default=30,
        validators=[MaxValueValidator(14 * 24 * 60)],
        help_text="How long staging runs a migration before production may.",
    )
    deploy_order = models.CharField(
        "Order of deploy and migration",
        max_length=20,
        choices=DeployOrder,
        default=DeployOrder.DEPLOY_FIRST,
    )
    deploy_minutes = models.PositiveIntegerField(
        "Deploy time limit (minutes)",
        default=20,
        help_text="After this time the promotion stops and asks a person.",
    )
    rollback_approvals = models.PositiveSmallIntegerField(
        "Approvals for a rollback",
        default=1,
        validators=[MaxValueValidator(5)],
        help_text="By people other than the one who requested the rollback.",
    )
    retention_hours = models.PositiveSmallIntegerField(
        "Image retention on Railway (hours)",
        null=True,
        blank=True,
        default=24,
        help_text=(
            "How long a replaced deployment can be restored: Free 24, Hobby 72, Pro 120,"
            " Enterprise 360. Leave empty if not known."
        ),
    )

    class Meta:
        abstract = True
        verbose_name = "Release rules"
