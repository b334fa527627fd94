"""What the portal read of a repository and a Railway project that somebody wants to connect."""

from django.conf import settings
from django.db import models

from environments.models.project import Project
from portal.jobs import Job


class ProjectProposal(Job):
    """One reading, from which a person creates the project."""

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
