"""What the steps of a promotion and of a rollback share."""

from django.db import models


class StepStatus(models.TextChoices):
    """The status of a step."""

    PENDING = "pending", "to come"
    ACTIVE = "active", "active"
    DONE = "done", "done"
    FAILED = "failed", "failed"
    SKIPPED = "skipped", "skipped"


class Step(models.Model):
    """One re-entrant step of a job; a subclass adds `name` and the job, whose `steps` they are."""

    position = models.PositiveSmallIntegerField()
    status = models.CharField(max_length=10, choices=StepStatus, default=StepStatus.PENDING)
    looks = models.PositiveIntegerField(
        default=0, help_text="How many times the step read the current state."
    )
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    sentence = models.TextField(
        blank=True, default="", help_text="What happened, or what the step waits for."
    )
    world = models.TextField(
        blank=True, default="", help_text="The current state that the step read."
    )
    evidence = models.JSONField(default=list)

    class Meta:
        abstract = True
        ordering = ["position"]
