"""What was put right at a person's request, and what the portal itself asked of the outside."""

from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models import Q

from environments.models.project import Project
from environments.models.services import ServiceInstance
from portal import audit
from portal.jobs import OPEN, Finished, Job


class RepairKind(models.TextChoices):
    """What a person can have repaired."""

    SYNC_STAGING = "sync_staging", "sync staging"
    BACK_MERGE = "back_merge", "open the back-merge"
    BRANCH = "branch", "follow the right branch"
    PUSH = "push", "deploy on push"
    DEPLOY = "deploy", "deploy the branch's head"
    DELETE = "delete", "delete the environment"
    PROTECT = "protect", "protect the branch"
    RESET = "reset", "reset staging to main"
    REVERT = "revert", "open the revert"
    KEEP_HEADS = "keep_heads", "leave merged branches on GitHub"


class Repair(Job):
    """One repair that a person requested: read the state, write at most once, read again."""

    step_function = "environments.repairs.steps.step"

    project = models.ForeignKey(Project, models.CASCADE, related_name="repairs")
    kind = models.CharField(max_length=20, choices=RepairKind)
    instance = models.ForeignKey(
        ServiceInstance, models.SET_NULL, null=True, blank=True, related_name="repairs"
    )
    subject = models.CharField(
        max_length=420, blank=True, default="", help_text="Name of the instance."
    )
    wanted = models.CharField(
        max_length=200,
        blank=True,
        default="",
        help_text="The branch or commit that it must end at.",
    )
    before = models.CharField(
        max_length=200, blank=True, default="", help_text="The state before the write."
    )
    wrote_at = models.DateTimeField(null=True, blank=True)
    result = models.CharField(
        max_length=20, blank=True, default="", help_text="equal, moved, not_ready or diverged."
    )
    evidence = models.JSONField(default=list, blank=True)
    for_release = models.CharField(
        max_length=40, blank=True, default="", help_text="Name of the release it is part of."
    )
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+"
    )

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["project", "kind", "subject"],
                condition=Q(status__in=OPEN),
                name="repair_one_open",
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}{f' ({self.subject})' if self.subject else ''}"

    def ended(self, outcome: Finished, *, now: datetime) -> None:
        known = {"kind": self.kind, "before": self.before}
        known |= {"wanted": self.wanted, "result": self.result}
        audit.record_end("repair.ended", self, outcome, now=now, data=known)


class DeploymentRequest(models.Model):
    """A deployment that the portal requested. The row is written before the request."""

    instance = models.ForeignKey(
        ServiceInstance, models.CASCADE, related_name="deployment_requests"
    )
    commit = models.CharField(max_length=64)
    asked_at = models.DateTimeField()
    railway_id = models.CharField(
        max_length=64,
        blank=True,
        default="",
        help_text="Id of the deployment on Railway. Empty: Railway's answer was lost.",
    )

    class Meta:
        default_permissions = ()
        indexes = [models.Index(fields=["instance", "commit"])]

    def __str__(self) -> str:
        return f"{self.commit[:7]} on {self.instance}"
