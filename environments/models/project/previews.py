"""Which pull requests of a project get an environment of their own, and for how long."""

from django.db import models


class PreviewRules(models.Model):
    """Which pull requests get a preview, how many there are at a time, and how long each lives."""

    previews = models.BooleanField(
        default=False,
        help_text=(
            "An environment pr-N on Railway for each pull request into staging. It costs money."
        ),
    )
    preview_drafts = models.BooleanField(default=False, help_text="Also for drafts.")
    preview_forks = models.BooleanField(
        default=False,
        help_text="Also for forks: strangers' code would run with staging's variables.",
    )
    preview_limit = models.PositiveSmallIntegerField(
        default=10, help_text="No more than so many at a time."
    )
    preview_days = models.PositiveSmallIntegerField(
        default=14,
        help_text="A preview is deleted so many days after the last push; a push brings it back.",
    )
    preview_migrates = models.BooleanField(
        default=False, help_text="Bring the preview's own database to the head of the pull request."
    )

    class Meta:
        abstract = True
        verbose_name = "Previews"
