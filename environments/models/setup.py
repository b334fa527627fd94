"""What the portal found by reading: when a project was to be connected, and of its old process."""

from django.conf import settings
from django.db import models

from environments.models.project import Project
from portal.jobs import Job


class ProjectProposal(Job):
    """One reading of a repository and a Railway project, out of which a person makes a project."""

    step_function = "environments.setup.job.read"
    step_seconds = 600.0
    repeatable = True

    repository = models.CharField(max_length=201)
    railway_project_id = models.CharField(max_length=64)
    progress = models.CharField(max_length=200, blank=True, default="")
    found = models.JSONField(default=dict)
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    project = models.OneToOneField(
        Project, models.SET_NULL, null=True, blank=True, related_name="proposal"
    )

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"proposal for {self.repository}"


class RunbookReading(models.Model):
    """What the repository still holds of a process run by hand: `environments.runbook`."""

    project = models.OneToOneField(Project, models.CASCADE, related_name="runbook_reading")
    commit = models.CharField(max_length=64)
    rules = models.PositiveIntegerField(help_text="Which version of the rules it was read by.")
    found = models.JSONField(default=list)
    read_at = models.DateTimeField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"runbook of {self.project}"
