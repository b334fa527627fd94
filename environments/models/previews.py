"""Preview environments: one `pr-N` for each pull request that is to have one."""

from django.db import models

from environments.models.project import Project
from portal.jobs import Job
from portal.secrets import EncryptedTextField


class PreviewState(models.TextChoices):
    """The state of a preview, for people."""

    CREATING = "creating", "being made"
    ASKING = "asking", "waits for variables"
    DEPLOYING = "deploying", "deploying"
    LIVE = "live", "live"
    FAILED = "failed", "failed"
    BLOCKED = "blocked", "in the way of another environment"
    REMOVING = "removing", "being removed"
    GONE = "gone", "removed"


class Preview(Job):
    """The environment that a pull request should have, and how far it is. The pull request is a
    number, not a row.
    """

    step_function = "environments.previews.steps.step"
    retry_forever = True

    project = models.ForeignKey(Project, models.CASCADE, related_name="preview_rows")
    number = models.PositiveIntegerField(help_text="Number of the pull request.")
    title = models.CharField(max_length=300, blank=True, default="")
    branch = models.CharField(max_length=250, blank=True, default="")
    head = models.CharField(max_length=64, help_text="The commit that the preview must run.")
    head_at = models.DateTimeField(help_text="When that commit was first seen.")
    wanted = models.BooleanField(default=True)
    why_not = models.CharField(
        max_length=200,
        blank=True,
        default="",
        help_text="Why there is no preview, or no longer one.",
    )
    state = models.CharField(max_length=20, choices=PreviewState, default=PreviewState.CREATING)
    # What was done, written down before or after each call, so that a repeated look finds it.
    asked_at = models.DateTimeField(
        null=True, blank=True, help_text="When Railway was asked for the environment."
    )
    environment_id = models.CharField(
        max_length=64, blank=True, default="", help_text="Railway's id of the environment."
    )
    made_at = models.DateTimeField(null=True, blank=True)
    adopted = models.BooleanField(
        default=False,
        help_text=(
            "Somebody else created the environment, and a person let the portal take it over."
        ),
    )
    quiet = models.JSONField(
        default=list, blank=True, help_text="Services that pushes no longer deploy there."
    )
    variables_at = models.DateTimeField(
        null=True, blank=True, help_text="When its variables were last correct."
    )
    missing = models.JSONField(
        default=list, blank=True, help_text="Sealed variables that were not copied."
    )
    shared = models.JSONField(
        default=list, blank=True, help_text="Variables that have staging's own value."
    )
    deployed = models.JSONField(
        default=dict, blank=True, help_text="Service → commit, number of requests, time."
    )
    deleted_at = models.DateTimeField(
        null=True, blank=True, help_text="When Railway was asked to delete it."
    )
    services = models.JSONField(
        default=list,
        blank=True,
        help_text="Last known name, status, commit and address of each service.",
    )
    address = models.CharField(max_length=300, blank=True, default="")
    live_at = models.DateTimeField(null=True, blank=True)
    log = models.TextField(
        blank=True, default="", help_text="End of the log of what failed, without secrets."
    )
    seen = models.CharField(
        max_length=64, blank=True, default="", help_text="Digest of the last known state."
    )
    still_since = models.DateTimeField(
        null=True, blank=True, help_text="Nothing has changed since this time."
    )
    told = models.JSONField(
        default=dict, blank=True, help_text="What was posted to GitHub: comment, deployment."
    )

    class Meta:
        ordering = ["-number"]
        permissions = [("manage_preview", "Can rebuild and remove previews")]
        constraints = [models.UniqueConstraint(fields=["project", "number"], name="preview_once")]

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        """The environment's name on Railway."""
        return f"pr-{self.number}"


class PreviewVariable(models.Model):
    """A value that every preview gets instead of staging's, which is sealed or not to be shared."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="preview_variables")
    service = models.CharField(max_length=200)
    name = models.CharField(max_length=200)
    value = EncryptedTextField(
        help_text=(
            "It is not shown again. References such as ${{backend.PORT}} are resolved in the"
            " preview."
        )
    )

    class Meta:
        ordering = ["service", "name"]
        constraints = [
            models.UniqueConstraint(
                fields=["project", "service", "name"], name="preview_variable_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.service}: {self.name}"
