"""Logs of what people did about a release or a finding, in their own words."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from environments.models import Finding
from releases.models.releases import Release


class TaskLog(models.Model):
    """What was done about a release or a finding, in the words of those who did it: one log for
    each.
    """

    release = models.OneToOneField(
        Release, models.CASCADE, null=True, blank=True, related_name="task_log"
    )
    finding = models.OneToOneField(
        Finding, models.CASCADE, null=True, blank=True, related_name="task_log"
    )
    goal = models.TextField(blank=True, default="", max_length=20_000)
    notes = models.TextField(blank=True, default="", max_length=20_000)
    decisions = models.TextField(blank=True, default="", max_length=20_000)
    commands = models.TextField(blank=True, default="", max_length=20_000)
    outcome = models.TextField(blank=True, default="", max_length=20_000)
    version = models.PositiveIntegerField(
        default=1, help_text="Grows with each save; saving an older version is refused."
    )
    authors = models.ManyToManyField(settings.AUTH_USER_MODEL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    saved_at = models.DateTimeField(default=timezone.now)
    saved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+"
    )

    class Meta:
        default_permissions = ("view",)
        permissions = [("write_tasklog", "Can write task logs")]
        constraints = [
            models.CheckConstraint(
                condition=Q(release__isnull=False, finding=None)
                | Q(release=None, finding__isnull=False),
                name="task_log_of_one_thing",
            )
        ]

    def __str__(self) -> str:
        return f"task log {self.pk}"
