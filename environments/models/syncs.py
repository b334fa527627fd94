"""The jobs that keep the mirror fresh."""

from django.db import models
from django.db.models import Q

from environments.models.project import Project
from portal.jobs import Job


class RailwaySync(Job):
    """Keeps one project's mirror of Railway fresh; never ends."""

    step_function = "environments.railway_mirror.jobs.sync_railway"
    retry_forever = True

    project = models.OneToOneField(Project, models.CASCADE, related_name="railway_sync")
    synced_at = models.DateTimeField(null=True, blank=True)
    problem = models.TextField(blank=True, default="")
    pr_environments = models.BooleanField(
        default=False, help_text="Whether Railway creates environments for pull requests."
    )
    pace = models.FloatField(default=0, help_text="Seconds until the next reading.")
    watched_until = models.DateTimeField(
        null=True, blank=True, help_text="Until this time a release or a person needs fresh rows."
    )
    seen = models.CharField(
        max_length=64, blank=True, default="", help_text="Digest of the last known deployments."
    )
    heard_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="When a webhook last announced a change. Empty: no webhook has.",
    )
    unheard_since = models.DateTimeField(
        null=True, blank=True, help_text="Time of the first later change that no webhook announced."
    )

    def __str__(self) -> str:
        return f"Railway of {self.project}"


class DatabaseSync(Job):
    """Reads which revision every database reports, and its way to its branch; never ends."""

    step_function = "environments.railway_mirror.jobs.sync_databases"
    retry_forever = True

    project = models.OneToOneField(Project, models.CASCADE, related_name="database_sync")
    timeline = models.JSONField(
        default=dict, blank=True, help_text="Database → its timeline, newest first."
    )

    def __str__(self) -> str:
        return f"databases of {self.project}"


class VariableSync(Job):
    """Reads the names and fingerprints of one project's variables, slowly; never ends."""

    step_function = "environments.railway_mirror.jobs.sync_variables"
    step_seconds = 600.0
    retry_forever = True

    project = models.OneToOneField(Project, models.CASCADE, related_name="variable_sync")
    problem = models.TextField(blank=True, default="")

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"variables of {self.project}"


class ConnectionCheck(Job):
    """Looks at every credential once in a while, and when a person asks; one row, never ends."""

    step_function = "environments.connections.jobs.check_connections"
    retry_forever = True

    single = models.BooleanField(default=True, unique=True)
    checked_at = models.DateTimeField(null=True, blank=True)
    found = models.JSONField(
        default=list, blank=True, help_text="One JSON object for each credential."
    )

    class Meta:
        default_permissions = ()
        permissions = [("check_connections", "Can have the connections checked again")]
        constraints = [
            models.CheckConstraint(condition=Q(single=True), name="connection_check_single_row")
        ]

    def __str__(self) -> str:
        return "connections"


class CredentialWatch(Job):
    """Looks each minute whether every credential is still taken; one row, never ends."""

    step_function = "environments.connections.watch.watch_credentials"
    retry_forever = True

    single = models.BooleanField(default=True, unique=True)
    seen = models.JSONField(
        default=dict,
        blank=True,
        help_text="One object for each credential, by what names it where it must not stand.",
    )

    class Meta:
        default_permissions = ()
        constraints = [
            models.CheckConstraint(condition=Q(single=True), name="credential_watch_single_row")
        ]

    def __str__(self) -> str:
        return "credentials"


class ProtectionSync(Job):
    """Reads what binds the long-lived branches; never ends."""

    step_function = "environments.branches.protection.sync"
    retry_forever = True

    project = models.OneToOneField(Project, models.CASCADE, related_name="protection_sync")
    problem = models.TextField(blank=True, default="")

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"protections of {self.project}"
