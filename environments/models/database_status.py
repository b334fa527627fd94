"""Where each environment's database is beside the head of its branch, as last computed."""

from django.db import models

from environments.models.databases import Database
from environments.models.environments import Environment


class DatabaseState(models.TextChoices):
    """Where a database is relative to its branch (environments.schema.history.status)."""

    LEVEL = "level", "at the head"
    BEHIND = "behind", "behind"
    HEADS = "heads", "behind, two heads"
    AHEAD = "ahead", "ahead of its branch"
    ADOPTED = "adopted", "tables without a revision"
    UNKNOWN = "unknown", "unknown revision"
    OVERLAP = "overlap", "rows that overlap"
    BROKEN = "broken", "files cannot be read"
    UNREAD = "unread", "not read"


class DatabaseStatus(models.Model):
    """The position of an environment's database relative to the head of its branch."""

    environment = models.ForeignKey(Environment, models.CASCADE, related_name="statuses")
    database = models.ForeignKey(Database, models.CASCADE, related_name="statuses")
    branch = models.CharField(max_length=250)
    commit = models.CharField(max_length=64, help_text="The head of the branch that was read.")
    heads = models.JSONField(default=list, help_text="Alembic's heads at that commit.")
    revisions = models.JSONField(null=True, help_text="Revisions that the database reported then.")
    state = models.CharField(max_length=10, choices=DatabaseState)
    sentence = models.TextField(blank=True, default="")
    between = models.JSONField(
        default=list, help_text="What an upgrade would run, in order: id, path, message."
    )
    beyond = models.JSONField(default=list, help_text="Revisions that only the database has.")
    since = models.DateTimeField(help_text="When it entered this state.")
    read_at = models.DateTimeField()

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["environment", "database"], name="schema_standing_once")
        ]

    def __str__(self) -> str:
        return self.sentence
