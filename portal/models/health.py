"""What processes report about themselves and observed outside, and what checks found."""

from datetime import timedelta

from django.db import models
from django.db.models import Q
from django.utils import timezone

FRESH = timedelta(seconds=15)  # a process reports every five seconds


class ProcessReport(models.Model):
    """The last sign of life of one worker or web process, with what it measured on its host."""

    class Role(models.TextChoices):
        WORKER = "worker", "worker"
        WEB = "web", "web server"

    role = models.CharField(max_length=10, choices=Role)
    host = models.CharField(max_length=100)
    pid = models.PositiveIntegerField()
    version = models.CharField(max_length=40)
    started_at = models.DateTimeField()
    at = models.DateTimeField(help_text="Time of the report, by the database's clock.")
    disk_free = models.PositiveBigIntegerField(
        help_text="Bytes free on the disk of PORTAL_VAR_DIR."
    )
    disk_total = models.PositiveBigIntegerField()
    clock_skew = models.FloatField(
        help_text="Seconds by which the host's clock is ahead of the database's."
    )

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["role", "host", "pid"], name="portal_processreport_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_role_display()} on {self.host} (process {self.pid})"


class Observation(models.Model):
    """The newest value that some process saw outside, such as GitHub's remaining quota."""

    name = models.CharField(max_length=100, primary_key=True)
    value = models.JSONField()
    at = models.DateTimeField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.name


class Incident(models.Model):
    """One check that was not in order for a while, announced once a second look confirmed it."""

    check_name = models.CharField(max_length=60)
    subject = models.CharField(
        max_length=100,
        blank=True,
        default="",
        help_text="What the incident is about; empty for the portal itself.",
    )
    scope = models.CharField(
        max_length=50,
        blank=True,
        default="",
        help_text="Slug of the project the incident is about.",
    )
    state = models.CharField(max_length=10)
    sentence = models.TextField()
    opened_at = models.DateTimeField(default=timezone.now)
    announced_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["check_name", "subject"],
                condition=Q(closed_at=None),
                name="portal_incident_one_open",
            )
        ]

    def __str__(self) -> str:
        return f"{self.check_name} {self.subject}".strip()


class HealthWatch(models.Model):
    """A single row: when the checks were last evaluated, so that one process at a time does it."""

    single = models.BooleanField(primary_key=True, default=True)
    evaluated_at = models.DateTimeField(null=True, blank=True)
    server_started_at = models.DateTimeField(
        null=True, blank=True, help_text="Start of the PostgreSQL server."
    )

    class Meta:
        default_permissions = ()
        constraints = [
            models.CheckConstraint(condition=Q(single=True), name="portal_healthwatch_single_row")
        ]

    def __str__(self) -> str:
        return "health watch"
