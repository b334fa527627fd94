"""The limits of a migration run of a project."""

from django.db import models


class MigrationRules(models.Model):
    """How long a statement may run, and how long it may wait for a lock."""

    statement_seconds = models.PositiveIntegerField(
        default=900, help_text="Longest time one migration statement may take."
    )
    lock_seconds = models.PositiveIntegerField(
        default=5, help_text="Longest wait for a table lock in a migration."
    )

    class Meta:
        abstract = True
        verbose_name = "Migrations"
