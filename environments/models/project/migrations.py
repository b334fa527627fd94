"""The limits of a migration run of a project."""

from django.db import models


class MigrationRules(models.Model):
    """How long a statement may run, and how long it may wait for a lock."""

    statement_seconds = models.PositiveIntegerField(
        "Statement time limit (seconds)",
        default=900,
        help_text="A statement that takes longer is cancelled.",
    )
    lock_seconds = models.PositiveIntegerField(
        "Lock time limit (seconds)",
        default=5,
        help_text="A statement that waits longer for a table lock is cancelled.",
    )

    class Meta:
        abstract = True
        verbose_name = "Migrations"
