"""What the portal tells the authors of a project's pull requests."""

from django.db import models


class PullRequestRules(models.Model):
    """Comments on pull requests, and the commands that authors run before they push."""

    pre_push = models.TextField(
        "Before pushing",
        blank=True,
        default="npm run build\nnpm test",
        help_text=(
            "Commands that an author runs before pushing, one a line; shown with the pull requests."
        ),
    )
    pull_comments = models.BooleanField(
        "Comments on migrations",
        default=True,
        help_text=(
            "One comment on a pull request into staging that brings migrations, edited ever after."
        ),
    )
    pull_comment_forks = models.BooleanField(
        "Also render those of forks",
        default=False,
        help_text=(
            "Strangers' revision files would be executed here to show their SQL, by a process"
            " without variables."
        ),
    )

    class Meta:
        abstract = True
        verbose_name = "Pull requests"
