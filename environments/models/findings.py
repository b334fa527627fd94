"""What is incoherent, and what was done about it at a person's request."""

from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from portal import audit
from portal.jobs import OPEN, Ended, Job

from environments.models.project import Project, ServiceInstance


class FindingKind(models.TextChoices):
    """What is incoherent, or was done around the portal."""

    BRANCH = "branch", "follows another branch"
    MISSING = "missing", "missing in an environment"
    ADDRESS = "address", "address of another environment"
    UNREADABLE = "unreadable", "could not be read"
    BYPASS = "bypass", "done around the portal"
    BEHIND = "behind", "the branch's head is not live"
    SAME = "same", "one value in two environments"
    STRAY = "stray", "present where it should not be"
    PUSH = "push", "does not deploy on push"
    TWICE = "twice", "one name for two environments"
    SCHEMA = "schema", "schema changed by hand"
    PROTECTION = "protection", "not protected as it should be"
    ROLLED_BACK = "rolled_back", "rolled back by people"
    UPLOADED = "uploaded", "uploaded without a commit"


class Finding(models.Model):
    """Something incoherent, open until it is gone or a person resolves it with a reason."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="findings")
    kind = models.CharField(max_length=20, choices=FindingKind)
    subject = models.CharField(max_length=300)
    sentence = models.TextField()
    attestable = models.BooleanField(default=False, help_text="A machine cannot see it; a person may sign for it.")
    opened_at = models.DateTimeField(default=timezone.now)
    seen_at = models.DateTimeField(default=timezone.now)
    closed_at = models.DateTimeField(null=True, blank=True)
    closed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+")
    reason = models.TextField(blank=True, default="")

    class Meta:
        ordering = ["-opened_at"]
        permissions = [("resolve_finding", "Can resolve a finding with a reason")]
        constraints = [
            models.UniqueConstraint(
                fields=["project", "kind", "subject"], condition=Q(closed_at=None), name="finding_open_once"
            ),
            # What was done around the portal stays done: one event is found once, also after it was resolved.
            models.UniqueConstraint(
                fields=["project", "subject"], condition=Q(kind=FindingKind.BYPASS), name="finding_bypass_once"
            ),
        ]

    def __str__(self) -> str:
        return self.sentence[:80]

    @property
    def audit_scope(self) -> str:
        return self.project.slug


class RepairKind(models.TextChoices):
    """What a person can have put right."""

    SYNC_STAGING = "sync_staging", "sync staging"
    BACK_MERGE = "back_merge", "open the back-merge"
    BRANCH = "branch", "follow the right branch"
    PUSH = "push", "deploy on push"
    DEPLOY = "deploy", "deploy the branch's head"
    DELETE = "delete", "delete the environment"
    PROTECT = "protect", "protect the branch"
    RESET = "reset", "reset staging to main"
    KEEP_HEADS = "keep_heads", "leave merged branches on GitHub"


class Repair(Job):
    """One thing put right at a person's request: looked at first, written at most once, read again."""

    step_function = "environments.repairs.step"

    project = models.ForeignKey(Project, models.CASCADE, related_name="repairs")
    kind = models.CharField(max_length=20, choices=RepairKind)
    instance = models.ForeignKey(ServiceInstance, models.SET_NULL, null=True, blank=True, related_name="repairs")
    subject = models.CharField(max_length=420, blank=True, default="", help_text="The instance in words.")
    wanted = models.CharField(max_length=200, blank=True, default="", help_text="The branch or commit to come to.")
    before = models.CharField(max_length=200, blank=True, default="", help_text="What was there before the write.")
    wrote_at = models.DateTimeField(null=True, blank=True)
    result = models.CharField(max_length=20, blank=True, default="", help_text="equal, moved, not_ready or diverged.")
    evidence = models.JSONField(default=list, blank=True)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+")

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["project", "kind", "subject"], condition=Q(status__in=OPEN), name="repair_one_open"
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}{f' ({self.subject})' if self.subject else ''}"

    @property
    def audit_scope(self) -> str:
        return self.project.slug

    def ended(self, outcome: Ended, *, now: datetime) -> None:
        audit.record(
            "repair.ended",
            actor=None,
            subject=self,
            outcome="done" if outcome.status == "succeeded" else "failed",
            sentence=outcome.sentence,
            data={"kind": self.kind, "before": self.before, "wanted": self.wanted, "result": self.result},
            now=now,
        )
