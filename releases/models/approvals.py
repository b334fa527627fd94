"""What people sign for a release: approvals and accepted risks."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from environments.models import Project
from releases.models.releases import Release


class Signature(models.Model):
    """What a person signed; a change of configuration can undo it."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    lapsed_at = models.DateTimeField(
        null=True, blank=True, help_text="When a change of configuration invalidated it."
    )
    lapsed_why = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        abstract = True


class Approval(Signature):
    """A second person's approval of one candidate and its exact migrations."""

    release = models.ForeignKey(Release, models.CASCADE, related_name="approvals")
    candidate = models.CharField(max_length=64)
    content = models.CharField(
        max_length=64, help_text="Digest of the candidate and its revision files."
    )
    comment = models.TextField(blank=True, default="")
    given_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["release", "user", "content"],
                condition=Q(lapsed_at=None),
                name="approval_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.user} for {self.candidate[:7]}"


class RiskAcceptance(Signature):
    """An approver's acceptance of the named risks of one revision file, for exactly this
    content.
    """

    project = models.ForeignKey(Project, models.CASCADE, related_name="risk_acceptances")
    release = models.ForeignKey(Release, models.PROTECT, related_name="risk_acceptances")
    revision = models.CharField(max_length=200)
    sha256 = models.CharField(max_length=64)
    risks = models.JSONField(help_text="Severity and code of each accepted risk.")
    reason = models.TextField(max_length=2000)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["project", "sha256", "risks", "user"],
                condition=Q(lapsed_at=None),
                name="risk_acceptance_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.revision} by {self.user}"
