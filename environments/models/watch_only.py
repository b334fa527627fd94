"""What a project that only watches did not send."""

from django.db import models

from environments.models.project import Project


class WithheldWrite(models.Model):
    """One outward write that *watch only* kept back, with what would have been sent."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="withheld")
    service = models.CharField(max_length=20)
    doing = models.CharField(
        max_length=300, help_text="Completes the sentence “the portal would now …”."
    )
    content = models.JSONField(
        default=dict, help_text="What would have been sent, without secrets."
    )
    digest = models.CharField(max_length=64)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    count = models.PositiveIntegerField(default=1)

    class Meta:
        default_permissions = ()
        ordering = ["-last_at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["project", "digest"], name="environments_withheldwrite_once"
            )
        ]

    def __str__(self) -> str:
        return f"would {self.doing}"
