"""Rehearsals: what happened when migrations ran over a copy of a database's schema."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import models
from django.db.models import Q

from environments.models.databases import Database
from environments.models.environments import Environment
from portal import audit
from portal.jobs import OPEN, Finished, Job, JobStatus
from portal.outbound.parsing import JsonObject

# A rehearsal is believed for this long: meanwhile somebody may have changed the database by hand.
VALID = timedelta(hours=24)


class Direction(models.TextChoices):
    """What is rehearsed: the way to a commit's heads, or one revision back."""

    UPGRADE = "upgrade", "upgrade"
    DOWNGRADE = "downgrade", "one revision back"


class Rehearsal(Job):
    """One rehearsal for one database of an environment.

    `succeeded`: passed; `failed`: a statement did; `needs_person`: not known.
    """

    step_function = "environments.rehearsals.steps.step"
    step_seconds = 3600.0

    environment = models.ForeignKey(Environment, models.CASCADE, related_name="rehearsals")
    database = models.ForeignKey(Database, models.CASCADE, related_name="rehearsals")
    commit = models.CharField(max_length=64)
    direction = models.CharField(max_length=20, choices=Direction, default=Direction.UPGRADE)
    start = models.JSONField(null=True, blank=True, help_text="The revisions the database was at.")
    target = models.JSONField(default=list, help_text="The revisions it was brought to.")
    files = models.JSONField(
        default=list, help_text="Revision files that ran, in order: id, path, sha256."
    )
    phase = models.CharField(max_length=20, blank=True, default="", help_text="The current phase.")
    phases = models.JSONField(default=list, help_text="Finished phases, with seconds.")
    statements = models.JSONField(default=list, help_text="The statements that ran, in order.")
    warnings = models.JSONField(default=list)
    changes = models.JSONField(default=list, help_text="What the migrations change in the schema.")
    left = models.JSONField(
        null=True,
        blank=True,
        help_text="Differences that remain after the downgrade. Null: not known.",
    )
    drift = models.JSONField(
        null=True,
        blank=True,
        help_text="Differences between the real schema and the one that the migrations make.",
    )
    drift_problem = models.TextField(blank=True, default="")
    failed_statement = models.TextField(blank=True, default="")
    server = models.CharField(max_length=20, blank=True, default="")
    scratch = models.CharField(max_length=20, blank=True, default="")
    for_release = models.CharField(
        max_length=40, blank=True, default="", help_text="Name of the release it is part of."
    )
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+"
    )
    cancel_requested_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["environment", "database", "commit", "direction"],
                condition=Q(status__in=OPEN),
                name="rehearsal_one_open",
            )
        ]

    def __str__(self) -> str:
        place = " ".join(filter(None, [str(self.environment), self.database.called]))
        return f"rehearsal of {self.commit[:7]} for {place}"

    def ended(self, outcome: Finished, *, now: datetime) -> None:
        row = Rehearsal.objects.only("start", "target").get(pk=self.pk)
        known = {"commit": self.commit, "start": row.start, "target": row.target}
        known |= {"direction": self.direction}
        audit.record_end("rehearsal.ended", self, outcome, now=now, data=known)


def passed_rehearsal(
    environment: Environment,
    database: Database,
    *,
    commit: str,
    start: list[str],
    files: list[JsonObject],
    direction: str = Direction.UPGRADE,
    now: datetime,
) -> Rehearsal | None:
    """Return the newest finished rehearsal of exactly this, if it passed and is not stale.

    `start`: the revisions the database is at; `files`: what will run, with `id` and `sha256`.
    """
    rows = Rehearsal.objects.filter(
        environment=environment, database=database, commit=commit, direction=direction
    )
    newest = rows.exclude(status__in=[*OPEN, JobStatus.CANCELLED]).order_by("-pk").first()
    if newest is None or newest.status != JobStatus.SUCCEEDED or newest.finished_at is None:
        return None
    same = sorted(newest.start or ()) == sorted(start) and hashes(newest.files) == hashes(files)
    return newest if same and now - newest.finished_at < VALID else None


def hashes(files: list[JsonObject]) -> set[tuple[str, str]]:
    """Return revision and hash of each file."""
    return {(file["id"], file["sha256"]) for file in files}
