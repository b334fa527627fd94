"""What the portal tells the authors of a project's pull requests."""

from django.db import models


class PullRequestRules(models.Model):
    """Comments on pull requests, and the commands that authors run before they push."""

    pre_push = models.TextField(
        "Commands before pushing",
        blank=True,
        default="npm run build\nnpm test",
        help_text="One a line; shown to authors on the page Pull requests.",
    )
    pull_comments = models.BooleanField(
        "Comment on pull requests with migrations",
        default=True,
        help_text="One comment, updated with each push.",
    )
    pull_comment_forks = models.BooleanField(
        "Execute revision files of forks",
        default=False,
        help_text="To show their SQL. The process is isolated and has no secrets.",
    )

    class Meta:
        abstract = True
        verbose_name = "Pull requests"
