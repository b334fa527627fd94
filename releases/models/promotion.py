"""Promotions and their steps."""

from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models import Q

from environments.models import Database
from portal import audit
from portal.jobs import OPEN, Finished, Job, JobStatus
from releases.models.releases import Release
from releases.models.steps import Step


class Promotion(Job):
    """The job that brings a release to production, step by step."""

    step_function = "releases.promotion.steps.advance"

    release = models.ForeignKey(Release, models.PROTECT, related_name="promotions")
    started_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+"
    )
    gates = models.JSONField(
        default=list, help_text="Results of the gates when the promotion started."
    )
    found = models.JSONField(
        null=True, blank=True, help_text="Database → revisions that production's reported then."
    )

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["release"],
                condition=Q(status__in=[*OPEN, JobStatus.FAILED, JobStatus.NEEDS_PERSON]),
                name="promotion_one_unfinished",
            )
        ]

    def __str__(self) -> str:
        return f"promotion of {self.release}"

    def ended(self, outcome: Finished, *, now: datetime) -> None:
        known = {"candidate": self.release.candidate}
        audit.record_end("promotion.ended", self.release, outcome, now=now, data=known)


class StepName(models.TextChoices):
    """The steps of a promotion; the project's order of deploy and migrate decides how they
    follow.
    """

    MERGE = "merge", "Merge"
    DEPLOY = "deploy", "Deploy"
    MIGRATE = "migrate", "Migrate"
    SMOKE = "smoke", "Smoke"
    SYNC_STAGING = "sync_staging", "Sync staging"
    BACK_MERGE = "back_merge", "Back-merge"


class PromotionStep(Step):
    """One re-entrant step of a promotion, with its history in the audit trail."""

    promotion = models.ForeignKey(Promotion, models.CASCADE, related_name="steps")
    name = models.CharField(max_length=20, choices=StepName)
    deploy_wanted = models.JSONField(
        default=list, help_text="Services that a person asked to deploy."
    )
    migration_run = models.ForeignKey(
        "environments.MigrationRun", models.PROTECT, null=True, blank=True, related_name="+"
    )
    database = models.ForeignKey(
        Database,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="The database of a migration step.",
    )
    called = models.CharField(
        max_length=60,
        blank=True,
        default="",
        help_text="Name of the database, if the project had several.",
    )

    class Meta(Step.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["promotion", "name", "database"],
                nulls_distinct=False,
                name="promotion_step_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_name_display()} {self.called}".rstrip()
