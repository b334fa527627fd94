"""Pull requests as seen on GitHub, and the jobs that read them."""

from typing import Self

from django.db import models

from environments.models import Project
from portal.jobs import Job

# GitHub's words for a pull request that may be merged in some way; "unstable": a check that nobody
# requires failed.
GOOD_STATES = frozenset({"clean", "unstable", "has_hooks"})


class PullRequestQuerySet(models.QuerySet["PullRequest"]):
    """Pull requests, by where they lead."""

    def open_into_staging(self, project: Project) -> Self:
        """Return the project's open ones into the branch of staging."""
        return self.filter(project=project, state="open", base=project.staging_branch)


class PullRequest(models.Model):
    """A pull request as last seen on GitHub."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="pull_requests")
    number = models.PositiveIntegerField()
    title = models.CharField(max_length=300)
    author = models.CharField(max_length=100, blank=True, default="")
    url = models.CharField(max_length=500, blank=True, default="")
    state = models.CharField(max_length=20, default="open", help_text="open, merged or closed")
    draft = models.BooleanField(default=False)
    fork = models.BooleanField(
        default=False, help_text="Whether its branch is in another repository."
    )
    base = models.CharField(max_length=250)
    head = models.CharField(max_length=250)
    head_sha = models.CharField(max_length=64, blank=True, default="")
    mergeable = models.CharField(
        max_length=20, blank=True, default="", help_text="GitHub's `mergeable`, in lower case."
    )
    review_decision = models.CharField(max_length=30, blank=True, default="")
    merge_state = models.CharField(
        max_length=20,
        blank=True,
        default="",
        help_text="GitHub's `mergeStateStatus`, in lower case.",
    )
    blocked_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text=(
            "Since when GitHub has blocked the merge although the portal's own status is green."
        ),
    )
    merging = models.JSONField(
        null=True,
        blank=True,
        help_text="For a release's pull request: open conversations, unsigned commits, reviews.",
    )
    checks = models.JSONField(
        null=True, blank=True, help_text="Its checks. Null: they could not be read."
    )
    checks_at = models.DateTimeField(null=True, blank=True, help_text="When the checks were read.")
    updated_at = models.DateTimeField(null=True, blank=True)
    seen_at = models.DateTimeField()
    # What git says of it, computed by `PullReading` for one pair of base and head.
    read_for = models.CharField(
        max_length=140,
        blank=True,
        default="",
        help_text="The range base..head that was read. Empty: not read yet.",
    )
    migrations = models.JSONField(
        default=list, blank=True, help_text="Its revision files: id, path, kind of change."
    )
    migrations_problem = models.TextField(
        blank=True,
        default="",
        help_text="What will be wrong with the migrations once it is merged.",
    )
    cut_wrong = models.TextField(
        blank=True, default="", help_text="Why its branch does not start from staging."
    )

    objects = PullRequestQuerySet.as_manager()

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["project", "number"], name="pull_request_once")
        ]
        indexes = [models.Index(fields=["project", "state", "base"])]

    def __str__(self) -> str:
        return f"#{self.number} {self.title}"


class GitHubSync(Job):
    """Keeps one project's mirror of GitHub fresh; never ends."""

    step_function = "releases.github_mirror.jobs.sync_github"
    retry_forever = True

    project = models.OneToOneField(Project, models.CASCADE, related_name="github_sync")
    synced_at = models.DateTimeField(null=True, blank=True)
    listed_at = models.DateTimeField(
        null=True, blank=True, help_text="When every open pull request was last read."
    )
    cursor = models.CharField(
        max_length=200,
        blank=True,
        default="",
        help_text="Where the next page of pull requests begins.",
    )
    problem = models.TextField(blank=True, default="")
    pace = models.FloatField(default=0.0, db_default=0.0, help_text="Seconds between two readings.")
    relation = models.JSONField(
        default=dict,
        blank=True,
        help_text="How staging and main differ (`github_mirror.relation`).",
    )

    def __str__(self) -> str:
        return f"GitHub of {self.project}"


class PullReading(Job):
    """Reads from git what the open pull requests contain; woken when one of them or their base
    moves; never ends.
    """

    step_function = "releases.pull_requests.migrations.read"
    step_seconds = 600.0
    retry_forever = True

    project = models.OneToOneField(Project, models.CASCADE, related_name="pull_reading")

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"pull requests of {self.project}"


class BranchScan(Job):
    """Finds out how each new commit of the two long-lived branches arrived; woken when one of
    them moves; never ends.
    """

    step_function = "releases.pull_requests.bypasses.read"
    step_seconds = 600.0
    retry_forever = True

    project = models.OneToOneField(Project, models.CASCADE, related_name="branch_scan")

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"branches of {self.project}"


class PullRequestComment(Job):
    """The comment about migrations on a pull request, edited from then on.

    Ends with the pull request.
    """

    step_function = "releases.pull_requests.comment.step"
    retry_forever = True

    project = models.ForeignKey(Project, models.CASCADE, related_name="pull_request_comments")
    number = models.PositiveIntegerField()
    about = models.CharField(
        max_length=64,
        blank=True,
        default="",
        help_text="Digest of the state for which it was last woken.",
    )
    content = models.CharField(
        max_length=64, blank=True, default="", help_text="Digest of the files that were read."
    )
    risks = models.JSONField(default=list, blank=True, help_text="Risks of the plan, in order.")
    unread = models.CharField(
        max_length=300, blank=True, default="", help_text="Why the SQL was not read."
    )
    told = models.JSONField(
        default=dict, blank=True, help_text="What was posted to GitHub: comment, digest, problem."
    )

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["project", "number"], name="pull_note_once")]

    def __str__(self) -> str:
        return f"migrations of #{self.number}"
