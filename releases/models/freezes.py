"""Freezes: while one holds, nothing of its project is promoted."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from environments.models import Project


class Freeze(models.Model):
    """Refuses promotions of a project until it is lifted."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="freezes")
    reason = models.CharField(max_length=300)
    started_at = models.DateTimeField(default=timezone.now)
    started_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    lifted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project"], condition=Q(lifted_at=None), name="freeze_one_open"
            )
        ]

    def __str__(self) -> str:
        return self.reason
