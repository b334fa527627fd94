"""What Railway logged of deployments that came to nothing."""

from django.db import models

from environments.models.services import Deployment


class DeploymentLog(models.Model):
    """The end of a failed deployment's build and deploy log, without the service's secrets.

    Railway keeps its own for some days only, and people read this one where the trouble is shown.
    """

    deployment = models.OneToOneField(Deployment, models.CASCADE, related_name="log")
    build = models.TextField(blank=True, default="")
    deploy = models.TextField(blank=True, default="")
    problem = models.CharField(
        max_length=500, blank=True, default="", help_text="Why it could not be read."
    )
    reads = models.PositiveSmallIntegerField(
        default=0, help_text="How many times it was read: the last lines may arrive late."
    )
    read_at = models.DateTimeField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"log of {self.deployment}"
