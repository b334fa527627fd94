"""Rollbacks: the assessment, rollbacks with their steps and approvals, and downgrades."""

from datetime import datetime
from hashlib import sha256

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from portal import audit
from portal.jobs import OPEN, Finished, Job, JobStatus
from portal.outbound.parsing import JsonObject
from releases.models.approvals import Signature
from releases.models.steps import Step


class RollbackAssessment(Job):
    """What a rollback of a release would do now, for a release in production or on its way
    there. Kept up to date until that ends.
    """

    step_function = "releases.rollback.assessment.look"
    retry_forever = True

    release = models.OneToOneField("releases.Release", models.CASCADE, related_name="assessment")
    ran_before = models.JSONField(
        null=True,
        blank=True,
        help_text="What each service served before the promotion: service id → deployment, commit.",
    )
    verdict = models.CharField(max_length=60, blank=True, default="")
    reasons = models.JSONField(default=list)
    steps = models.JSONField(default=list)
    services = models.JSONField(
        default=list, help_text="What can be restored on each service, and its variables."
    )
    in_effect = models.JSONField(
        null=True, blank=True, help_text="Revisions of the release that production's database has."
    )
    revisions = models.JSONField(
        null=True, blank=True, help_text="Revisions that production's database reports."
    )
    downgrade = models.JSONField(
        null=True, blank=True, help_text="The next revision to downgrade: file, target, losses."
    )
    downgrade_problem = models.TextField(blank=True, default="")
    content = models.CharField(
        max_length=64, blank=True, default="", help_text="Digest of what would be restored."
    )
    problem = models.TextField(blank=True, default="", help_text="Why the last update failed.")
    computed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"way back from {self.release_id}"

    @property
    def targets(self) -> list[dict[str, str]]:
        """The deployments that a rollback would restore."""
        keys = ("service", "service_id", "deployment", "commit")
        return [
            {key: service[key] for key in keys}
            for service in self.services
            if service["state"] == "ready"
        ]


def rollback_content(verdict: str, targets: list[dict[str, str]]) -> str:
    """Return what an approval of a rollback is bound to: the verdict and exactly these deployments,
    hex SHA-256.
    """
    lines = sorted(
        f"{target['service_id']} {target['deployment']} {target['commit']}" for target in targets
    )
    return sha256("\n".join([verdict, *lines]).encode()).hexdigest()


class Rollback(Job):
    """Brings production back to what ran before a release: asked for, approved, carried out step
    by step.
    """

    step_function = "releases.rollback.steps.advance"

    release = models.ForeignKey("releases.Release", models.PROTECT, related_name="rollbacks")
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    reason = models.TextField(max_length=2000)
    verdict = models.CharField(max_length=60, help_text="The verdict of the rollback assessment.")
    targets = models.JSONField(
        help_text="What is restored: service, service_id, deployment, commit."
    )
    content = models.CharField(
        max_length=64, help_text="Digest of verdict and targets; approvals are bound to it."
    )

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["release"],
                condition=Q(status__in=[*OPEN, JobStatus.FAILED, JobStatus.NEEDS_PERSON]),
                name="rollback_one_unfinished",
            )
        ]

    def __str__(self) -> str:
        return f"rollback of {self.release}"

    def target(self, service: str) -> dict[str, str]:
        """Return what is restored on `service`."""
        return next(target for target in self.targets if target["service"] == service)

    def ended(self, outcome: Finished, *, now: datetime) -> None:
        known = {"content": self.content, "targets": self.targets}
        audit.record_end("rollback.ended", self.release, outcome, now=now, data=known)


class RollbackStepName(models.TextChoices):
    """The steps of a rollback; there is one *restore* for each service."""

    APPROVE = "approve", "Approve"
    RESTORE = "restore", "Restore"
    LIVE = "live", "Watch"
    SMOKE = "smoke", "Smoke"


class RollbackStep(Step):
    """One re-entrant step of a rollback."""

    rollback = models.ForeignKey(Rollback, models.CASCADE, related_name="steps")
    name = models.CharField(max_length=20, choices=RollbackStepName)
    service = models.CharField(
        max_length=200,
        blank=True,
        default="",
        help_text="Railway's id of the service to restore. Empty for other steps.",
    )
    asked = models.JSONField(
        null=True,
        blank=True,
        help_text="When Railway was asked, and the deployments that existed then.",
    )

    class Meta(Step.Meta):
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(
                fields=["rollback", "name", "service"], name="rollback_step_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_name_display()} {self.service}".rstrip()


class RollbackApproval(Signature):
    """A second person's approval of exactly these deployments."""

    rollback = models.ForeignKey(Rollback, models.CASCADE, related_name="approvals")
    content = models.CharField(max_length=64)
    comment = models.TextField(blank=True, default="")
    given_at = models.DateTimeField(default=timezone.now)

    class Meta:
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(
                fields=["rollback", "user", "content"],
                condition=Q(lapsed_at=None),
                name="rollback_approval_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.user} for {self.content[:12]}"


class Downgrade(models.Model):
    """A request to downgrade one revision in production, which a second person makes a
    `MigrationRun`.
    """

    release = models.ForeignKey("releases.Release", models.PROTECT, related_name="downgrades")
    environment = models.ForeignKey("environments.Environment", models.PROTECT, related_name="+")
    commit = models.CharField(max_length=64)
    database = models.CharField(
        max_length=200,
        help_text=(
            "Name of the database, typed by the person: its name on the server, or here if there"
            " are several."
        ),
    )
    start = models.JSONField(help_text="Revisions that the database reports.")
    target = models.CharField(max_length=200, help_text="The revision to downgrade to, or base.")
    file = models.JSONField(help_text="The revision file that is undone: id, path, sha256.")
    losses = models.JSONField(
        default=list, help_text="Counted rows that the downgrade would delete."
    )
    content = models.CharField(max_length=64)
    reason = models.TextField(max_length=2000)
    rehearsal = models.ForeignKey("environments.Rehearsal", models.PROTECT, related_name="+")
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    requested_at = models.DateTimeField(default=timezone.now)
    approved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+"
    )
    approved_at = models.DateTimeField(null=True, blank=True)
    withdrawn_at = models.DateTimeField(null=True, blank=True)
    run = models.OneToOneField(
        "environments.MigrationRun", models.PROTECT, null=True, blank=True, related_name="+"
    )

    class Meta:
        ordering = ["-requested_at"]
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(
                fields=["environment"],
                condition=Q(approved_at=None, withdrawn_at=None),
                name="downgrade_one_waiting",
            ),
            models.CheckConstraint(
                condition=Q(approved_by=None, approved_at=None, run=None)
                | (
                    Q(approved_at__isnull=False, run__isnull=False)
                    & ~Q(approved_by=F("requested_by"))
                ),
                name="downgrade_by_two_people",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.file['id']} taken back in {self.environment}"

    @property
    def waits(self) -> bool:
        """Whether a second person's word is awaited."""
        return self.approved_at is None and self.withdrawn_at is None


def downgrade_content(values: JsonObject) -> str:
    """Return what both people's words are bound to: database, where it is, where it goes, and the
    file, hex SHA-256.
    """
    file = values["file"]
    lines = [
        values["database"],
        ",".join(sorted(values["start"])),
        values["target"],
        file["id"],
        file["sha256"],
    ]
    lines += [str(values["database_id"])] if "database_id" in values else []
    return sha256("\n".join(lines).encode()).hexdigest()
