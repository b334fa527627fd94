"""Which pull requests of a project get an environment of their own, and for how long."""

from django.db import models


class PreviewRules(models.Model):
    """Which pull requests get a preview, how many there are at a time, and how long each lives."""

    previews = models.BooleanField(
        "Create a preview for each pull request into staging",
        default=False,
        help_text="Each preview is a Railway environment and costs money.",
    )
    preview_drafts = models.BooleanField("Also for drafts", default=False)
    preview_forks = models.BooleanField(
        "Also for forks",
        default=False,
        help_text="Strangers' code would run with staging's variables.",
    )
    preview_limit = models.PositiveSmallIntegerField("Previews at a time", default=10)
    preview_days = models.PositiveSmallIntegerField(
        "Lifetime (days)",
        default=14,
        help_text="After the last push. The next push recreates the preview.",
    )
    preview_migrates = models.BooleanField(
        "Migrate the preview's database",
        default=False,
        help_text="Only a database of the preview's own.",
    )

    class Meta:
        abstract = True
        verbose_name = "Previews"
