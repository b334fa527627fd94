"""What a project is made of, as seen on Railway and GitHub."""

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, RegexValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils import timezone

from environments.git_addresses import fault_of
from portal.access.proof import Policy

REPOSITORY_NAME = RegexValidator(r"^[\w.-]{1,100}/[\w.-]{1,100}\Z", "Write the repository as owner/name.")


def check_git_address(url: str) -> None:
    """Raises `ValidationError` for an address that git must not be given."""
    if fault := fault_of(url):
        raise ValidationError(fault)


ONE_PROJECT = (
    "Another project releases this repository already: both would post one commit status and share one promotion pull "
    "request. Add its second database to that project instead."
)


class DeployOrder(models.TextChoices):
    """Whether new code or the new schema comes first in a promotion."""

    DEPLOY_FIRST = "deploy_first", "deploy, then migrate"
    MIGRATE_FIRST = "migrate_first", "migrate, then deploy"


def default_checks() -> list[str]:
    """None: a check is required once it is known to run, for one that never runs would stop every merge."""
    return []


class Project(models.Model):
    """One product: a GitHub repository and a Railway project."""

    name = models.CharField(max_length=100, unique=True)
    slug = models.SlugField(max_length=50, unique=True)
    repository = models.CharField(max_length=201, validators=[REPOSITORY_NAME], help_text="owner/name on GitHub")
    git_url = models.CharField(
        max_length=500,
        blank=True,
        validators=[check_git_address],
        help_text="Only where it is not GitHub's usual address. The GitHub token is sent to GitHub's host alone.",
    )
    railway_project_id = models.CharField(max_length=64, blank=True)
    staging_branch = models.CharField(max_length=200, default="staging")
    production_branch = models.CharField(max_length=200, default="main")
    staging_environment = models.CharField(
        max_length=200, default="staging", help_text="What the environment is called on Railway."
    )
    production_environment = models.CharField(
        max_length=200, default="production", help_text="What the environment is called on Railway."
    )
    deploy_order = models.CharField(max_length=20, choices=DeployOrder, default=DeployOrder.DEPLOY_FIRST)
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
        help_text="People besides the one who cut a release. 0: one person alone can ship to production.",
    )
    rollback_approvals = models.PositiveSmallIntegerField(
        default=1, validators=[MaxValueValidator(5)], help_text="People besides the one who asks for a rollback."
    )
    retention_hours = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        default=24,
        help_text="How long Railway keeps the image of a deployment that was replaced: Free 24, Hobby 72, Pro 120, "
        "Enterprise 360. Empty: not known.",
    )
    required_checks = models.JSONField(
        default=list, blank=True, help_text="Names required besides those that branch protection requires."
    )
    protected_checks = models.JSONField(
        default=default_checks, blank=True, help_text="Checks that both long-lived branches are to require."
    )
    protected_approvals = models.PositiveSmallIntegerField(
        default=1, validators=[MaxValueValidator(6)], help_text="Approvals that a pull request is to need."
    )
    portal_app = models.CharField(
        "The portal's App",
        max_length=100,
        blank=True,
        default="",
        help_text="Slug of the GitHub App with which the portal fast-forwards staging past its pull-request rule.",
    )
    second_factor = models.BooleanField(
        "Second factor",
        default=False,
        help_text="To promote, approve, accept a risk, roll back, skip or reset, a person proves who they are by an "
        "authenticator app.",
    )
    sign_in_minutes = models.PositiveSmallIntegerField(
        "Recent sign-in",
        null=True,
        blank=True,
        validators=[MaxValueValidator(24 * 60)],
        help_text="For the same actions: how many minutes ago the person may have signed in. Empty: any time.",
    )
    statement_seconds = models.PositiveIntegerField(
        default=900, help_text="Longest time one migration statement may take."
    )
    lock_seconds = models.PositiveIntegerField(default=5, help_text="Longest wait for a table lock in a migration.")
    pre_push = models.TextField(
        "Before pushing",
        blank=True,
        default="npm run build\nnpm test",
        help_text="Commands that an author runs before pushing, one a line; shown with the pull requests.",
    )
    previews = models.BooleanField(
        default=False, help_text="An environment pr-N on Railway for each pull request into staging. It costs money."
    )
    preview_drafts = models.BooleanField(default=False, help_text="Also for drafts.")
    preview_forks = models.BooleanField(
        default=False,
        help_text="Also for forks: strangers' code would run with staging's variables.",
    )
    preview_limit = models.PositiveSmallIntegerField(default=10, help_text="No more than so many at a time.")
    preview_days = models.PositiveSmallIntegerField(
        default=14, help_text="A preview is deleted so many days after the last push; a push brings it back."
    )
    preview_migrates = models.BooleanField(
        default=False, help_text="Bring the preview's own database to the head of the pull request."
    )
    pull_comments = models.BooleanField(
        "Comments on migrations",
        default=True,
        help_text="One comment on a pull request into staging that brings migrations, edited ever after.",
    )
    pull_comment_forks = models.BooleanField(
        "Also render those of forks",
        default=False,
        help_text="Strangers' revision files would be executed here to show their SQL, by a process without variables.",
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    renamed_to = models.CharField(
        max_length=201, blank=True, default="", editable=False,
        help_text="What GitHub calls the repository now, if not as set. It is read under that name.",
    )  # fmt: skip
    former_names = models.JSONField(
        default=list, editable=False, help_text="What it was called before: Railway may go on saying so."
    )
    shares_repository = models.BooleanField(
        default=False, editable=False, help_text="Older than the rule that a repository has one project."
    )

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=~Q(staging_environment=models.F("production_environment")),
                name="project_two_environments",
                violation_error_message="Staging and production must be two environments; their names are the same.",
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
        """Refuse a repository that another project has; forms leave out the field that the constraint looks at."""
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
        return bool(repository) and (repository or "").lower() in (one.lower() for one in names)

    @property
    def sign_in_policy(self) -> Policy:
        """What a person must have proven before a dangerous action."""
        return Policy(self.second_factor, self.sign_in_minutes)


class EnvironmentKind(models.TextChoices):
    """What an environment is for."""

    STAGING = "staging", "staging"
    PRODUCTION = "production", "production"
    PREVIEW = "preview", "preview"
    OTHER = "other", "other"


class Environment(models.Model):
    """An environment on Railway, as last seen."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="environments")
    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=20, choices=EnvironmentKind, default=EnvironmentKind.OTHER)
    railway_id = models.CharField(max_length=64)
    seen_at = models.DateTimeField(null=True, blank=True)
    gone_at = models.DateTimeField(null=True, blank=True)
    variables_at = models.DateTimeField(null=True, blank=True, help_text="When its variables were last looked at.")
    variables_problem = models.TextField(blank=True, default="")
    variables_since = models.DateTimeField(
        null=True, blank=True, help_text="Changes of variables are known from then on."
    )
    variables_known = models.JSONField(
        default=dict, blank=True, help_text="What the next reading may be compared with: the key, and whose were read."
    )

    pull_number = models.PositiveIntegerField(null=True, blank=True, help_text="Of the pull request it is for.")
    by_railway = models.BooleanField(default=False, help_text="Railway made it for a pull request.")
    config_etag = models.CharField(max_length=200, blank=True, default="", help_text="Changes with its settings.")
    variables_etag = models.CharField(
        max_length=200, blank=True, default="", help_text="What it was when the variables were read."
    )

    class Meta:
        ordering = ["project", "name"]
        permissions = [
            ("migrate_environment", "Can migrate an environment's database"),
            ("repair_environment", "Can repair what differs in an environment"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["project", "railway_id"], name="environment_once"),
            models.UniqueConstraint(
                fields=["project", "kind"],
                condition=Q(kind__in=["staging", "production"], gone_at=None),
                name="environment_one_staging_one_production",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def audit_scope(self) -> str:
        return self.project.slug


class Branch(models.Model):
    """The head of a long-lived branch, as last seen on GitHub."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="branches")
    name = models.CharField(max_length=200)
    head = models.CharField(max_length=64, blank=True, default="")
    head_at = models.DateTimeField(null=True, blank=True, help_text="When the head was first seen there.")
    required_contexts = models.JSONField(null=True, blank=True, help_text="Null: the rules could not be read.")
    merge_rules = models.JSONField(
        null=True, blank=True, help_text="What a merge takes: environments.github.MergeRules. Null: not known."
    )
    seen_at = models.DateTimeField()
    judged = models.CharField(
        max_length=64, blank=True, default="", help_text="Up to here it is known how each commit came about."
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "name"], name="branch_once")]

    def __str__(self) -> str:
        return self.name


class BranchProtection(models.Model):
    """What binds a long-lived branch beside what is to bind it, as last read."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="protections")
    branch = models.CharField(max_length=200)
    lines = models.JSONField(default=list, help_text="The settings of the branch as read, in order.")
    problems = models.JSONField(default=list, blank=True, help_text="What could not be read, and why.")
    closed = models.BooleanField(
        null=True, help_text="Whether the portal cannot push here, past the demand for pull requests. Empty: not known."
    )
    read_at = models.DateTimeField()

    class Meta:
        default_permissions = ("view",)
        permissions = [("protect_branch", "Can have a branch protected")]
        constraints = [models.UniqueConstraint(fields=["project", "branch"], name="branch_protection_once")]

    def __str__(self) -> str:
        return f"protection of {self.branch}"

    @property
    def audit_scope(self) -> str:
        return self.project.slug


class Service(models.Model):
    """A service of the project on Railway."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="services")
    name = models.CharField(max_length=200)
    railway_id = models.CharField(max_length=64)
    gone_at = models.DateTimeField(null=True, blank=True)
    belongs = models.BooleanField(
        "Belongs to the release",
        null=True,
        blank=True,
        help_text="Whether a release waits for it; unknown: if it is built from the project's repository.",
    )

    class Meta:
        ordering = ["name"]
        permissions = [("place_service", "Can say which services belong to the release")]
        constraints = [models.UniqueConstraint(fields=["project", "railway_id"], name="service_once")]

    def __str__(self) -> str:
        return self.name

    @property
    def audit_scope(self) -> str:
        return self.project.slug


class AtStart(models.TextChoices):
    """What is known of a service's commands before and at its start."""

    PRE_DEPLOY = "pre_deploy", "its pre-deploy command runs Alembic"
    START = "start", "its start command runs Alembic"
    NO = "no", "its commands on Railway do not run Alembic"
    UNKNOWN = "unknown", "whether it runs Alembic at its start is not known"


class ServiceInstance(models.Model):
    """A service in one environment: the branch it follows, its addresses, what is live."""

    service = models.ForeignKey(Service, models.CASCADE, related_name="instances")
    environment = models.ForeignKey(Environment, models.CASCADE, related_name="instances")
    railway_id = models.CharField(max_length=64)
    repository = models.CharField(max_length=201, blank=True, default="", help_text="Empty: not built from GitHub.")
    branch = models.CharField(max_length=200, blank=True, default="")
    image = models.CharField(max_length=300, blank=True, default="", help_text="What it runs, if not code of GitHub.")
    watch_patterns = models.JSONField(
        default=list, blank=True, help_text="Only a push that touches these paths deploys it; empty: every push."
    )
    cron = models.CharField(max_length=100, blank=True, default="", help_text="When it runs; empty: always.")
    unchanged = models.JSONField(
        default=dict,
        blank=True,
        help_text="The commit it serves, what it watches, and for other commits the first such path that differs.",
    )
    domains = models.JSONField(default=list, blank=True)
    seen_at = models.DateTimeField(null=True, blank=True, help_text="Empty: its state could never be read.")
    at_start = models.CharField(
        max_length=10,
        choices=AtStart,
        default=AtStart.UNKNOWN,
        help_text="Whether its commands run Alembic when it starts. They are not kept: they may hold keys.",
    )
    healthcheck_path = models.CharField(max_length=500, blank=True, default="", help_text="As set on Railway.")
    rolled_back_from = models.CharField(
        max_length=64, blank=True, default="", help_text="The commit of its branch from which people rolled it back."
    )
    autodeploy = models.BooleanField(null=True, blank=True, help_text="Whether a push deploys it; empty: not known.")
    judged = models.CharField(
        max_length=64, blank=True, default="", help_text="Up to this deployment it is known how each came about."
    )

    class Meta:
        ordering = ["service__name"]
        constraints = [models.UniqueConstraint(fields=["service", "environment"], name="instance_once")]

    def __str__(self) -> str:
        return f"{self.service} in {self.environment}"


class Deployment(models.Model):
    """A deployment on Railway, as last seen. `status` keeps Railway's word, also one that is new to us."""

    instance = models.ForeignKey(ServiceInstance, models.CASCADE, related_name="deployments")
    railway_id = models.CharField(max_length=64, unique=True)
    status = models.CharField(max_length=40)
    commit = models.CharField(max_length=64, blank=True, default="")
    branch = models.CharField(max_length=200, blank=True, default="")
    stopped = models.BooleanField(default=False)
    containers = models.JSONField(default=list, blank=True, help_text="Railway's word for each of them.")
    is_latest = models.BooleanField(default=False)
    is_active = models.BooleanField(default=False)
    created_at = models.DateTimeField(null=True, blank=True)
    seen_at = models.DateTimeField()

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            models.Index(
                fields=["instance"],
                condition=Q(is_latest=True) | Q(is_active=True),
                name="deployment_current",
            )
        ]

    def __str__(self) -> str:
        return f"{self.railway_id[:8]} {self.status}"


class SmokeTest(models.Model):
    """One request that must be answered properly: in staging before a promotion, in production after it."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="smoke_tests")
    service = models.CharField(max_length=200)
    path = models.CharField(
        max_length=500,
        default="/health",
        validators=[RegexValidator(r"^/[^\s\\]*\Z", "Begin the path with /.")],
    )
    expected_status = models.PositiveSmallIntegerField(default=200)
    expects_commit = models.BooleanField(
        default=True, help_text="When the answer names a commit, it must be the one that was shipped."
    )

    on_staging = models.BooleanField("staging", default=True, help_text="Asked before the promotion.")
    on_production = models.BooleanField("production", default=True, help_text="Asked after the deployment.")

    class Meta:
        ordering = ["service", "path"]
        constraints = [
            models.UniqueConstraint(fields=["project", "service", "path"], name="smoke_test_once"),
            models.CheckConstraint(
                condition=Q(on_staging=True) | Q(on_production=True),
                name="smoke_test_names_an_environment",
                violation_error_message="Choose staging, production or both.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.service} {self.path}"
