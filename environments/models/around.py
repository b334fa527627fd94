"""What the portal itself asked of the outside, so that nobody is accused of it, and what two people sign together."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from portal.access.proof import Policy

from environments.models.findings import Repair
from environments.models.project import Project, ServiceInstance


class DeploymentAsk(models.Model):
    """A deployment in staging or production that the portal asked for, written down before it was asked for."""

    instance = models.ForeignKey(ServiceInstance, models.CASCADE, related_name="asks")
    commit = models.CharField(max_length=64)
    asked_at = models.DateTimeField()
    railway_id = models.CharField(max_length=64, blank=True, default="", help_text="Empty: the answer was lost.")

    class Meta:
        default_permissions = ()
        indexes = [models.Index(fields=["instance", "commit"])]

    def __str__(self) -> str:
        return f"{self.commit[:7]} on {self.instance}"


class StagingReset(models.Model):
    """The wish to set staging to main, although each has commits of its own: for two people, and exactly two heads."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="resets")
    staging_head = models.CharField(max_length=64)
    main_head = models.CharField(max_length=64)
    reason = models.TextField(max_length=2000)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    requested_at = models.DateTimeField(default=timezone.now)
    signed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+")
    closed_at = models.DateTimeField(null=True, blank=True, help_text="When it was signed, or taken back.")
    repair = models.OneToOneField(Repair, models.PROTECT, null=True, blank=True, related_name="reset")

    class Meta:
        ordering = ["-pk"]
        default_permissions = ("view",)
        permissions = [("sign_reset", "Can sign a reset of staging that somebody else asked for")]
        constraints = [
            models.UniqueConstraint(fields=["project"], condition=Q(closed_at=None), name="staging_reset_one_open"),
            models.CheckConstraint(condition=~Q(signed_by=F("requested_by")), name="staging_reset_two_people"),
            models.CheckConstraint(
                condition=Q(repair=None) | Q(signed_by__isnull=False), name="staging_reset_done_when_signed"
            ),
        ]

    def __str__(self) -> str:
        return f"reset of {self.staging_head[:7]} to {self.main_head[:7]}"

    @property
    def audit_scope(self) -> str:
        return self.project.slug

    @property
    def sign_in_policy(self) -> Policy:
        return self.project.sign_in_policy
