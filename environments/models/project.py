"""What a project is made of, as seen on Railway and GitHub."""

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, RegexValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils import timezone

from environments.git.addresses import fault_of
from portal.models.sign_in_policy import Policy

REPOSITORY_NAME = RegexValidator(
    r"^[\w.-]{1,100}/[\w.-]{1,100}\Z", "Write the repository as owner/name."
)


def check_git_address(url: str) -> None:
    """Raises `ValidationError` for an address that git must not be given."""
    if fault := fault_of(url):
        raise ValidationError(fault)


ONE_PROJECT = (
    "Another project releases this repository already: both would post one commit status and share"
    " one promotion pull request. Add its second database to that project instead."
)


class DeployOrder(models.TextChoices):
    """Whether new code or the new schema comes first in a promotion."""

    DEPLOY_FIRST = "deploy_first", "deploy, then migrate"
    MIGRATE_FIRST = "migrate_first", "migrate, then deploy"


def default_checks() -> list[str]:
    """None: a check is required once it is known to run, for one that never runs would stop
    every merge.
    """
    return []


class Project(models.Model):
    """One product: a GitHub repository and a Railway project."""

    name = models.CharField(max_length=100, unique=True)
    slug = models.SlugField(max_length=50, unique=True)
    repository = models.CharField(
        max_length=201, validators=[REPOSITORY_NAME], help_text="owner/name on GitHub"
    )
    git_url = models.CharField(
        max_length=500,
        blank=True,
        validators=[check_git_address],
        help_text=(
            "Only where it is not GitHub's usual address. The GitHub token is sent to GitHub's host"
            " alone."
        ),
    )
    railway_project_id = models.CharField(max_length=64, blank=True)
    watch_only = models.BooleanField(
        "Watch only",
        default=False,
        help_text=(
            "Nothing is sent to GitHub, Railway or a database: what would be is shown and recorded."
        ),
    )
    staging_branch = models.CharField(max_length=200, default="staging")
    production_branch = models.CharField(max_length=200, default="main")
    staging_environment = models.CharField(
        max_length=200, default="staging", help_text="What the environment is called on Railway."
    )
    production_environment = models.CharField(
        max_length=200, default="production", help_text="What the environment is called on Railway."
    )
    deploy_order = models.CharField(
        max_length=20, choices=DeployOrder, default=DeployOrder.DEPLOY_FIRST
    )
    soak_minutes = models.PositiveIntegerField(
        default=30,
        validators=[MaxValueValidator(14 * 24 * 60)],
        help_text="Observation in staging after migrating.",
    )
    deploy_minutes = models.PositiveIntegerField(
        default=20, help_text="How long a deployment may take before a person is asked."
    )
    required_approvals = models.PositiveSmallIntegerField(
        default=1,
        validators=[MaxValueValidator(5)],
        help_text=(
            "People besides the one who cut a release. 0: one person alone can ship to production."
        ),
    )
    rollback_approvals = models.PositiveSmallIntegerField(
        default=1,
        validators=[MaxValueValidator(5)],
        help_text="People besides the one who asks for a rollback.",
    )
    retention_hours = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        default=24,
        help_text=(
            "How long Railway keeps the image of a deployment that was replaced: Free 24, Hobby 72,"
            " Pro 120, Enterprise 360. Empty: not known."
        ),
    )
    required_checks = models.JSONField(
        default=list,
        blank=True,
        help_text="Names required besides those that branch protection requires.",
    )
    protected_checks = models.JSONField(
        default=default_checks,
        blank=True,
        help_text="Checks that both long-lived branches are to require.",
    )
    protected_approvals = models.PositiveSmallIntegerField(
        default=1,
        validators=[MaxValueValidator(6)],
        help_text="Approvals that a pull request is to need.",
    )
    portal_app = models.CharField(
        "The portal's App",
        max_length=100,
        blank=True,
        default="",
        help_text=(
            "Slug of the GitHub App with which the portal fast-forwards staging past its"
            " pull-request rule."
        ),
    )
    second_factor = models.BooleanField(
        "Second factor",
        default=False,
        help_text=(
            "To promote, approve, accept a risk, roll back, skip or reset, a person proves who they"
            " are by an authenticator app."
        ),
    )
    sign_in_minutes = models.PositiveSmallIntegerField(
        "Recent sign-in",
        null=True,
        blank=True,
        validators=[MaxValueValidator(24 * 60)],
        help_text=(
            "For the same actions: how many minutes ago the person may have signed in. Empty: any"
            " time."
        ),
    )
    statement_seconds = models.PositiveIntegerField(
        default=900, help_text="Longest time one migration statement may take."
    )
    lock_seconds = models.PositiveIntegerField(
        default=5, help_text="Longest wait for a table lock in a migration."
    )
    pre_push = models.TextField(
        "Before pushing",
        blank=True,
        default="npm run build\nnpm test",
        help_text=(
            "Commands that an author runs before pushing, one a line; shown with the pull requests."
        ),
    )
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
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    renamed_to = models.CharField(
        max_length=201,
        blank=True,
        default="",
        editable=False,
        help_text=(
            "What GitHub calls the repository now, if not as set. It is read under that name."
        ),
    )
    former_names = models.JSONField(
        default=list,
        editable=False,
        help_text="What it was called before: Railway may go on saying so.",
    )
    shares_repository = models.BooleanField(
        default=False,
        editable=False,
        help_text="Older than the rule that a repository has one project.",
    )

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=~Q(staging_environment=models.F("production_environment")),
                name="project_two_environments",
                violation_error_message=(
                    "Staging and production must be two environments; their names are the same."
                ),
            ),
            models.UniqueConstraint(
                Lower("repository"),
                condition=Q(shares_repository=False),
                name="project_one_for_a_repository",
                violation_error_message=ONE_PROJECT,
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Refuse a repository that another project has; forms leave out the field that the
        constraint looks at.
        """
        others = Project.objects.filter(repository__iexact=self.repository).exclude(pk=self.pk)
        if not self.shares_repository and others.exists():
            raise ValidationError({"repository": ONE_PROJECT})

    @property
    def audit_scope(self) -> str:
        return self.slug

    @property
    def read_as(self) -> str:
        """The name under which git finds the repository, which follows no redirect."""
        return self.renamed_to or self.repository

    def is_own(self, repository: str | None) -> bool:
        """Return whether that is the project's repository, under any name that it has or had."""
        names = [self.repository, self.renamed_to, *self.former_names]
        return bool(repository) and (repository or "").lower() in (name.lower() for name in names)

    @property
    def sign_in_policy(self) -> Policy:
        """What a person must have proven before a dangerous action."""
        return Policy(self.second_factor, self.sign_in_minutes)
