"""What is incoherent, and what was done about it at a person's request."""

from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from environments.finding_kinds import registry as finding_kinds
from environments.models.project import Project


class FindingQuerySet(models.QuerySet["Finding"]):
    """Findings by state."""

    def open(self) -> Self:
        """Return those that are neither gone nor resolved."""
        return self.filter(closed_at=None)


class Finding(models.Model):
    """A difference between the expected and the actual state: open until it disappears or a
    person resolves it with a reason.
    """

    project = models.ForeignKey(Project, models.CASCADE, related_name="findings")
    kind = models.CharField(max_length=40, choices=finding_kinds.choices)
    subject = models.CharField(max_length=300)
    sentence = models.TextField()
    attestable = models.BooleanField(
        default=False, help_text="Whether a person may sign for it, because no machine can see it."
    )
    opened_at = models.DateTimeField(default=timezone.now)
    seen_at = models.DateTimeField(default=timezone.now)
    closed_at = models.DateTimeField(null=True, blank=True)
    closed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+"
    )
    reason = models.TextField(blank=True, default="")

    objects = FindingQuerySet.as_manager()

    class Meta:
        ordering = ["-opened_at"]
        permissions = [("resolve_finding", "Can resolve a finding with a reason")]
        constraints = [
            models.UniqueConstraint(
                fields=["project", "kind", "subject"],
                condition=Q(closed_at=None),
                name="finding_open_once",
            ),
            # An out-of-band change is reported once, also after it was
            # resolved.
            models.UniqueConstraint(
                fields=["project", "subject"],
                condition=Q(kind="bypass"),
                name="finding_bypass_once",
            ),
        ]

    def __str__(self) -> str:
        return self.sentence[:80]
