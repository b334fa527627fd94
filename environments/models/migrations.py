"""Migrations of databases: what they will do, each run of them, what staging ran."""

from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from environments.models.databases import Database, Runner
from environments.models.environments import Environment, EnvironmentKind
from environments.models.project import Project
from environments.models.rehearsals import Direction
from portal import audit
from portal.jobs import OPEN, Finished, Job, JobStatus


class MigrationRun(Job):
    """One run of Alembic for one database in one environment, at one commit."""

    step_function = "environments.databases.migrate.migrate"
    step_seconds = 4 * 3600.0

    environment = models.ForeignKey(Environment, models.PROTECT, related_name="migration_runs")
    database = models.ForeignKey(Database, models.PROTECT, related_name="migration_runs")
    runner = models.CharField(max_length=20, choices=Runner, default=Runner.PORTAL)
    found = models.JSONField(
        null=True,
        blank=True,
        help_text="Revisions that the database reported before Railway could migrate it.",
    )
    commit = models.CharField(max_length=64)
    direction = models.CharField(max_length=20, choices=Direction, default=Direction.UPGRADE)
    target = models.JSONField(default=list, help_text="The heads that the run upgrades to.")
    planned = models.JSONField(
        default=list, help_text="Revisions to apply, in order: id, path, sha256."
    )
    applied = models.JSONField(default=list, help_text="Applied revisions, with seconds.")
    before = models.JSONField(null=True, blank=True)
    after = models.JSONField(null=True, blank=True)
    log = models.TextField(blank=True, default="")
    log_bytes = models.PositiveBigIntegerField(default=0)
    failed_revision = models.CharField(max_length=200, blank=True, default="")
    failed_statement = models.TextField(blank=True, default="")
    invalid_indexes = models.JSONField(default=list)
    kept = models.JSONField(
        default=list, help_text="Statements of the failed revision that were not rolled back."
    )
    executed = models.JSONField(
        default=dict,
        help_text=(
            "Revision → key and text of each different statement, as the run's own process"
            " reported it."
        ),
    )
    progress = models.JSONField(
        default=dict, help_text="The statement that is running and its progress. Empty: none is."
    )
    backup = models.JSONField(
        default=dict,
        help_text="The backup of production that was taken before, and how to restore it.",
    )
    railway = models.JSONField(
        default=dict,
        help_text="Settings that the run changed on Railway, with their earlier values.",
    )
    for_release = models.CharField(
        max_length=40, blank=True, default="", help_text="Name of the release it is part of."
    )
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+"
    )
    approved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+"
    )
    cancel_requested_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["environment", "database"],
                condition=Q(status__in=OPEN),
                name="migration_run_one_open",
            ),
            models.CheckConstraint(
                condition=~Q(direction=Direction.DOWNGRADE)
                | (
                    Q(requested_by__isnull=False, approved_by__isnull=False)
                    & ~Q(approved_by=F("requested_by"))
                ),
                name="migration_run_back_by_two_people",
            ),
        ]

    def __str__(self) -> str:
        target = ", ".join(self.target)
        place = " ".join(filter(None, [str(self.environment), self.database.called]))
        if self.direction == Direction.DOWNGRADE:
            return f"{place} back to {target or 'nothing'}"
        return f"{place} to {target or self.commit[:7]}"  # the heads are known once it runs

    def ended(self, outcome: Finished, *, now: datetime) -> None:
        known = {"commit": self.commit, "before": self.before, "after": self.after}
        audit.record_end("migration.ended", self, outcome, now=now, data=known)


def unknown_staging(database: Database) -> str:
    """Return why staging's database is not known well enough for production to follow, as a
    sentence; "" when it is.
    """
    runs = MigrationRun.objects.filter(database=database, environment__kind=EnvironmentKind.STAGING)
    newest = runs.order_by("-created_at").only("status").first()
    if newest is not None and newest.is_open:
        return "Staging is being migrated; wait for that run to end."
    if newest is not None and newest.status == JobStatus.NEEDS_PERSON:
        return (
            "How the last run in staging ended is not known; find that out first, and run it again."
        )
    return ""


class MigrationPlan(Job):
    """The SQL and risks of a database's migrations between two commits. Computed once."""

    step_function = "environments.databases.plan_job.plan_migrations"
    step_seconds = 1800.0  # the environment of the project may have to be made first
    retry_forever = True

    project = models.ForeignKey(Project, models.CASCADE, related_name="migration_plans")
    database = models.ForeignKey(Database, models.CASCADE, related_name="migration_plans")
    commit = models.CharField(max_length=64)
    base = models.CharField(max_length=64, help_text="The commit whose revisions have already run.")
    for_release = models.CharField(
        max_length=40, blank=True, default="", help_text="Name of the release it is part of."
    )
    steps = models.JSONField(default=list, help_text="Steps of the plan, in order.")
    risks = models.JSONField(default=list, help_text="Risks of the plan, in order.")
    met = models.JSONField(
        default=dict, help_text="What was read of production's tables for the plan, and when."
    )
    digest = models.CharField(
        max_length=64, blank=True, default="", help_text="Digest of the files and the SQL."
    )
    starts = models.JSONField(
        default=dict,
        blank=True,
        help_text=(
            "For staging and production: revision to start from, revisions in order, digest,"
            " problem."
        ),
    )
    renderer = models.CharField(
        max_length=80,
        blank=True,
        default="",
        help_text="Versions of the programs that rendered the SQL.",
    )

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["database", "commit", "base"], name="migration_plan_once"
            )
        ]

    def __str__(self) -> str:
        return f"plan of {self.commit[:7]} since {self.base[:7]}"

    def ended(self, outcome: Finished, *, now: datetime) -> None:
        known = {"commit": self.commit, "base": self.base, "digest": self.digest}
        audit.record_end("migration.planned", self, outcome, now=now, data=known)


class StagedRevision(models.Model):
    """A revision file that staging's database has run successfully: what production may run."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="staged_revisions")
    database = models.ForeignKey(Database, models.CASCADE, related_name="staged_revisions")
    revision = models.CharField(max_length=200)
    sha256 = models.CharField(max_length=64)
    run = models.ForeignKey(MigrationRun, models.PROTECT, related_name="staged")
    at = models.DateTimeField()
    rendered = models.JSONField(
        null=True,
        blank=True,
        help_text="The SQL that was planned when staging ran it. Null: not stored.",
    )
    renderer = models.CharField(max_length=80, blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["database", "revision", "sha256"], name="staged_revision_once"
            )
        ]

    def __str__(self) -> str:
        return self.revision
