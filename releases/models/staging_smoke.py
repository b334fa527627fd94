"""The job that runs smoke tests against staging before a release is promoted."""

from django.db import models

from portal.jobs import Job


class StagingSmoke(Job):
    """Asks staging the project's smoke tests, whenever the candidate, its deployments or its
    database changed.
    """

    step_function = "releases.staging_smoke.job.look"
    retry_forever = True

    release = models.OneToOneField("releases.Release", models.CASCADE, related_name="staging_smoke")
    about = models.CharField(
        max_length=64,
        blank=True,
        default="",
        help_text="Digest of the requests and the places they were sent to.",
    )
    candidate = models.CharField(max_length=64, blank=True, default="")
    ok = models.BooleanField(default=False)
    asked_at = models.DateTimeField(null=True, blank=True)
    lines = models.JSONField(default=list, blank=True, help_text="label, said, ok.")

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"smoke tests of staging for {self.release_id}"
