"""What the repository still holds of a release process run by hand."""

from django.db import models

from environments.models.project import Project


class RunbookReading(models.Model):
    """The newest reading of one repository (`environments.runbook`)."""

    project = models.OneToOneField(Project, models.CASCADE, related_name="runbook_reading")
    commit = models.CharField(max_length=64)
    rules = models.PositiveIntegerField(help_text="Version of the rules that were used.")
    found = models.JSONField(default=list)
    read_at = models.DateTimeField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"runbook of {self.project}"
