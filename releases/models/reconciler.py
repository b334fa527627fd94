"""The job that keeps a release up to date."""

from django.db import models

from portal.jobs import Job
from releases.models.releases import Release


class ReleaseReconciler(Job):
    """Keeps a release in step with the world until it ends.

    It collects commits and migrations, opens the promotion pull request, notices when the candidate
    moves, keeps the commit status on the candidate equal to what the gates say, and closes the
    release when all is verified.
    """

    step_function = "releases.lifecycle.reconcile.reconcile"
    step_seconds = 1800.0  # the SQL of an edited file may need the project's environment made first
    retry_forever = True

    release = models.OneToOneField(Release, models.CASCADE, related_name="reconciler")
    verdict_sha = models.CharField(max_length=64, blank=True, default="")
    verdict_state = models.CharField(max_length=10, blank=True, default="")
    verdict_sentence = models.CharField(max_length=140, blank=True, default="")
    verdict_gate = models.CharField(
        max_length=40, blank=True, default="", help_text="The gate that the verdict is about."
    )
    verdict_at = models.DateTimeField(null=True, blank=True)
    verdict_by = models.CharField(
        max_length=100,
        blank=True,
        default="",
        help_text="The account that GitHub shows as author of the status.",
    )
    verdict_count = models.PositiveIntegerField(
        default=0, help_text="Number of statuses posted on this commit."
    )
    verdict_problem = models.TextField(
        blank=True, default="", help_text="Why the verdict could not be posted."
    )
    verdict_tries = models.PositiveSmallIntegerField(default=0)
    verdict_retry_at = models.DateTimeField(null=True, blank=True)
    problem = models.TextField(blank=True, default="")
    drift = models.JSONField(
        null=True,
        blank=True,
        help_text="Changes of variables since the last release (`variable_drift`).",
    )

    def __str__(self) -> str:
        return f"reconciler of {self.release_id}"


class KeptVariables(models.Model):
    """Names and keyed fingerprints of production's and staging's variables when a release was
    promoted.
    """

    release = models.OneToOneField(Release, models.CASCADE, related_name="kept_variables")
    at = models.DateTimeField()
    key = models.CharField(max_length=16, help_text="Identifies the key of the fingerprints.")
    read = models.JSONField(help_text="Kinds of the environments whose variables could be read.")
    rows = models.JSONField(help_text="kind, service, name, mark: “sealed” or the fingerprint.")

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"variables of {self.release}"
