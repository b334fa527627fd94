"""What runs where: projects, their environments and services, deployments, database migrations, findings."""

from datetime import datetime

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, RegexValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

from portal import audit
from portal.jobs import OPEN, Ended, Job
from portal.secrets import EncryptedTextField

REPOSITORY_NAME = RegexValidator(r"^[\w.-]{1,100}/[\w.-]{1,100}\Z", "Write the repository as owner/name.")


class DeployOrder(models.TextChoices):
    """Whether new code or the new schema comes first in a promotion."""

    DEPLOY_FIRST = "deploy_first", "deploy, then migrate"
    MIGRATE_FIRST = "migrate_first", "migrate, then deploy"


class Project(models.Model):
    """One product: a GitHub repository and a Railway project."""

    name = models.CharField(max_length=100, unique=True)
    slug = models.SlugField(max_length=50, unique=True)
    repository = models.CharField(max_length=201, validators=[REPOSITORY_NAME], help_text="owner/name on GitHub")
    git_url = models.CharField(max_length=500, blank=True, help_text="Only where it is not GitHub's usual address.")
    railway_project_id = models.CharField(max_length=64, blank=True)
    staging_branch = models.CharField(max_length=200, default="staging")
    production_branch = models.CharField(max_length=200, default="main")
    alembic = models.CharField(
        "Alembic",
        max_length=300,
        blank=True,
        help_text="Path of alembic.ini or of the script directory in the repository; empty: no migrations.",
    )
    version_table = models.CharField(max_length=63, default="alembic_version")
    database_service = models.CharField(
        max_length=100,
        default="backend",
        blank=True,
        help_text="The service whose variables name the database.",
    )
    database_variable = models.CharField(max_length=100, default="DATABASE_URL")
    deploy_order = models.CharField(max_length=20, choices=DeployOrder, default=DeployOrder.DEPLOY_FIRST)
    soak_minutes = models.PositiveIntegerField(
        default=30,
        validators=[MaxValueValidator(14 * 24 * 60)],
        help_text="Observation in staging after migrating.",
    )
    deploy_minutes = models.PositiveIntegerField(
        default=20, help_text="How long a deployment may take before a person is asked."
    )
    required_approvals = models.PositiveSmallIntegerField(default=0, validators=[MaxValueValidator(5)])
    required_checks = models.JSONField(
        default=list, blank=True, help_text="Names required besides those that branch protection requires."
    )
    statement_seconds = models.PositiveIntegerField(
        default=900, help_text="Longest time one migration statement may take."
    )
    lock_seconds = models.PositiveIntegerField(default=5, help_text="Longest wait for a table lock in a migration.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def audit_scope(self) -> str:
        return self.slug


class EnvironmentKind(models.TextChoices):
    """What an environment is for."""

    STAGING = "staging", "staging"
    PRODUCTION = "production", "production"
    PREVIEW = "preview", "preview"
    OTHER = "other", "other"


class Environment(models.Model):
    """An environment on Railway, as last seen, and the revision its database last reported."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="environments")
    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=20, choices=EnvironmentKind, default=EnvironmentKind.OTHER)
    railway_id = models.CharField(max_length=64)
    database_url = EncryptedTextField(
        blank=True,
        default="",
        help_text="Only where Railway's variable cannot be reached from here. Write-only.",
    )
    seen_at = models.DateTimeField(null=True, blank=True)
    gone_at = models.DateTimeField(null=True, blank=True)
    revisions = models.JSONField(null=True, blank=True, help_text="What the database reported; null: not known.")
    revisions_at = models.DateTimeField(null=True, blank=True)
    revisions_problem = models.TextField(blank=True, default="")
    variables_at = models.DateTimeField(null=True, blank=True, help_text="When its variables were last looked at.")
    variables_problem = models.TextField(blank=True, default="")

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
    seen_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "name"], name="branch_once")]

    def __str__(self) -> str:
        return self.name


class Service(models.Model):
    """A service of the project on Railway."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="services")
    name = models.CharField(max_length=200)
    railway_id = models.CharField(max_length=64)
    gone_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["project", "railway_id"], name="service_once")]

    def __str__(self) -> str:
        return self.name


class ServiceInstance(models.Model):
    """A service in one environment: the branch it follows, its addresses, what is live."""

    service = models.ForeignKey(Service, models.CASCADE, related_name="instances")
    environment = models.ForeignKey(Environment, models.CASCADE, related_name="instances")
    railway_id = models.CharField(max_length=64)
    repository = models.CharField(max_length=201, blank=True, default="", help_text="Empty: not built from GitHub.")
    branch = models.CharField(max_length=200, blank=True, default="")
    domains = models.JSONField(default=list, blank=True)
    seen_at = models.DateTimeField(null=True, blank=True, help_text="Empty: its state could never be read.")

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
    """One request that must be answered properly after a promotion."""

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

    class Meta:
        ordering = ["service", "path"]
        constraints = [models.UniqueConstraint(fields=["project", "service", "path"], name="smoke_test_once")]

    def __str__(self) -> str:
        return f"{self.service} {self.path}"


class MigrationRun(Job):
    """One run of Alembic in one environment, at one commit."""

    step_function = "environments.jobs.migrate"
    step_seconds = 4 * 3600.0

    environment = models.ForeignKey(Environment, models.PROTECT, related_name="migration_runs")
    commit = models.CharField(max_length=64)
    target = models.JSONField(default=list, help_text="The heads the database is brought to.")
    planned = models.JSONField(default=list, help_text="What was to be applied, in order: id, path, sha256.")
    applied = models.JSONField(default=list, help_text="The ids that were applied, with seconds.")
    before = models.JSONField(null=True, blank=True)
    after = models.JSONField(null=True, blank=True)
    log = models.TextField(blank=True, default="")
    log_bytes = models.PositiveBigIntegerField(default=0)
    failed_revision = models.CharField(max_length=200, blank=True, default="")
    failed_statement = models.TextField(blank=True, default="")
    invalid_indexes = models.JSONField(default=list)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+")
    cancel_requested_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(fields=["environment"], condition=Q(status__in=OPEN), name="migration_run_one_open")
        ]

    def __str__(self) -> str:
        return f"{self.environment} to {', '.join(self.target) or 'nothing'}"

    @property
    def audit_scope(self) -> str:
        return self.environment.project.slug

    def ended(self, outcome: Ended, *, now: datetime) -> None:
        audit.record(
            "migration.ended",
            actor=None,
            subject=self,
            outcome="done" if outcome.status == "succeeded" else "failed",
            sentence=outcome.sentence,
            data={
                "status": outcome.status,
                "commit": self.commit,
                "before": self.before,
                "after": self.after,
            },
            now=now,
        )


class MigrationPlan(Job):
    """What the migrations between two commits will do in production, worked out once: SQL, risks, what they meet."""

    step_function = "environments.jobs.plan_migrations"
    tireless = True

    project = models.ForeignKey(Project, models.CASCADE, related_name="migration_plans")
    commit = models.CharField(max_length=64)
    base = models.CharField(max_length=64, help_text="The commit whose revisions ran already.")
    steps = models.JSONField(default=list, help_text="environments.schema.plan.Step, in order.")
    risks = models.JSONField(default=list, help_text="environments.schema.risk.Risk, in order.")
    met = models.JSONField(default=dict, help_text="What was read of production's database for it, and when.")
    digest = models.CharField(max_length=64, blank=True, default="", help_text="Of files and SQL.")

    class Meta:
        ordering = ["-pk"]
        constraints = [models.UniqueConstraint(fields=["project", "commit", "base"], name="migration_plan_once")]

    def __str__(self) -> str:
        return f"plan of {self.commit[:7]} since {self.base[:7]}"

    @property
    def audit_scope(self) -> str:
        return self.project.slug

    def ended(self, outcome: Ended, *, now: datetime) -> None:
        audit.record(
            "migration.planned",
            actor=None,
            subject=self,
            outcome="done" if outcome.status == "succeeded" else "failed",
            sentence=outcome.sentence,
            data={"commit": self.commit, "base": self.base, "digest": self.digest},
            now=now,
        )


class StagedRevision(models.Model):
    """A revision file that staging's database has run successfully: what production may run."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="staged_revisions")
    revision = models.CharField(max_length=200)
    sha256 = models.CharField(max_length=64)
    run = models.ForeignKey(MigrationRun, models.PROTECT, related_name="staged")
    at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "revision", "sha256"], name="staged_revision_once")]

    def __str__(self) -> str:
        return self.revision


class RailwaySync(Job):
    """Keeps one project's mirror of Railway fresh; never ends."""

    step_function = "environments.jobs.sync_railway"
    tireless = True

    project = models.OneToOneField(Project, models.CASCADE, related_name="railway_sync")
    synced_at = models.DateTimeField(null=True, blank=True)
    problem = models.TextField(blank=True, default="")

    def __str__(self) -> str:
        return f"Railway of {self.project}"


class DatabaseSync(Job):
    """Reads which revision the databases of staging and production report; never ends."""

    step_function = "environments.jobs.sync_databases"
    tireless = True

    project = models.OneToOneField(Project, models.CASCADE, related_name="database_sync")

    def __str__(self) -> str:
        return f"databases of {self.project}"


class FindingKind(models.TextChoices):
    """What is incoherent, or was done around the portal."""

    BRANCH = "branch", "follows another branch"
    MISSING = "missing", "missing in an environment"
    ADDRESS = "address", "address of another environment"
    UNREADABLE = "unreadable", "could not be read"
    BYPASS = "bypass", "done around the portal"
    BEHIND = "behind", "the branch's head is not live"
    SAME = "same", "one value in two environments"
    STRAY = "stray", "present where it should not be"


class Finding(models.Model):
    """Something incoherent, open until it is gone or a person resolves it with a reason."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="findings")
    kind = models.CharField(max_length=20, choices=FindingKind)
    subject = models.CharField(max_length=300)
    sentence = models.TextField()
    attestable = models.BooleanField(default=False, help_text="A machine cannot see it; a person may sign for it.")
    opened_at = models.DateTimeField(default=timezone.now)
    seen_at = models.DateTimeField(default=timezone.now)
    closed_at = models.DateTimeField(null=True, blank=True)
    closed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+")
    reason = models.TextField(blank=True, default="")

    class Meta:
        ordering = ["-opened_at"]
        permissions = [("resolve_finding", "Can resolve a finding with a reason")]
        constraints = [
            models.UniqueConstraint(
                fields=["project", "kind", "subject"], condition=Q(closed_at=None), name="finding_open_once"
            )
        ]

    def __str__(self) -> str:
        return self.sentence[:80]

    @property
    def audit_scope(self) -> str:
        return self.project.slug


class RepairKind(models.TextChoices):
    """What a person can have put right."""

    SYNC_STAGING = "sync_staging", "sync staging"
    BACK_MERGE = "back_merge", "open the back-merge"
    BRANCH = "branch", "follow the right branch"
    DEPLOY = "deploy", "deploy the branch's head"


class Repair(Job):
    """One thing put right at a person's request: looked at first, written at most once, read again."""

    step_function = "environments.repairs.step"

    project = models.ForeignKey(Project, models.CASCADE, related_name="repairs")
    kind = models.CharField(max_length=20, choices=RepairKind)
    instance = models.ForeignKey(ServiceInstance, models.SET_NULL, null=True, blank=True, related_name="repairs")
    subject = models.CharField(max_length=420, blank=True, default="", help_text="The instance in words.")
    wanted = models.CharField(max_length=200, blank=True, default="", help_text="The branch or commit to come to.")
    before = models.CharField(max_length=200, blank=True, default="", help_text="What was there before the write.")
    wrote_at = models.DateTimeField(null=True, blank=True)
    result = models.CharField(max_length=20, blank=True, default="", help_text="equal, moved, not_ready or diverged.")
    evidence = models.JSONField(default=list, blank=True)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+")

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["project", "kind", "subject"], condition=Q(status__in=OPEN), name="repair_one_open"
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}{f' ({self.subject})' if self.subject else ''}"

    @property
    def audit_scope(self) -> str:
        return self.project.slug

    def ended(self, outcome: Ended, *, now: datetime) -> None:
        audit.record(
            "repair.ended",
            actor=None,
            subject=self,
            outcome="done" if outcome.status == "succeeded" else "failed",
            sentence=outcome.sentence,
            data={"kind": self.kind, "before": self.before, "wanted": self.wanted, "result": self.result},
            now=now,
        )


class ConnectionCheck(Job):
    """Looks at every credential once in a while, and when a person asks; one row, never ends."""

    step_function = "environments.jobs.check_connections"
    tireless = True

    single = models.BooleanField(default=True, unique=True)
    checked_at = models.DateTimeField(null=True, blank=True)
    found = models.JSONField(default=list, blank=True, help_text="One object for each credential.")

    class Meta:
        default_permissions = ()
        permissions = [("check_connections", "Can have the connections checked again")]
        constraints = [models.CheckConstraint(condition=Q(single=True), name="connection_check_single_row")]

    def __str__(self) -> str:
        return "connections"


class Variable(models.Model):
    """That a variable exists in an environment, and what can be compared of it. Its value is never kept."""

    environment = models.ForeignKey(Environment, models.CASCADE, related_name="variables")
    service = models.ForeignKey(
        Service, models.CASCADE, null=True, blank=True, related_name="variables", help_text="Empty: shared by all."
    )
    name = models.CharField(max_length=200)
    sealed = models.BooleanField(default=False)
    references = models.JSONField(default=list, help_text="What it refers to: “backend.RAILWAY_PUBLIC_DOMAIN”.")
    fingerprint = models.CharField(max_length=64, blank=True, default="", help_text="Keyed; empty: sealed or empty.")
    host_fingerprint = models.CharField(max_length=64, blank=True, default="", help_text="Keyed, of the host alone.")
    host_reference = models.CharField(max_length=420, blank=True, default="", help_text="The host is this reference.")

    class Meta:
        ordering = ["service__name", "name"]
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(
                fields=["environment", "service", "name"], name="variable_once", nulls_distinct=False
            )
        ]

    def __str__(self) -> str:
        return self.name


class RuleKind(models.TextChoices):
    """What a rule demands of a variable in staging and production."""

    SEPARATE = "separate", "separate: not one value in two environments"
    ADDRESS = "address", "same-environment address: leads to a service of its own environment"
    PRESENT = "present", "present everywhere"
    ONLY = "only", "only here"


class VariableRule(models.Model):
    """One thing that must hold for variables. `service` and `name` may hold * for any letters."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="variable_rules")
    kind = models.CharField(max_length=20, choices=RuleKind)
    service = models.CharField(max_length=200, default="*", help_text="A service's name; * means any letters.")
    name = models.CharField(max_length=200, help_text="A variable's name; * means any letters.")
    target = models.CharField(
        max_length=200, blank=True, default="", help_text="For an address: the service that it must lead to."
    )
    where = models.CharField(
        max_length=20,
        blank=True,
        default="",
        choices=[("staging", "staging"), ("production", "production")],
        help_text="For “only here”: where it belongs.",
    )
    allowed = models.CharField(
        max_length=500, blank=True, default="", help_text="For “separate”: names that may be equal, with commas."
    )

    class Meta:
        ordering = ["kind", "service", "name"]
        constraints = [
            models.UniqueConstraint(
                fields=["project", "kind", "service", "name", "target", "where"], name="variable_rule_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind}: {self.name} of {self.service}"

    @property
    def audit_scope(self) -> str:
        return self.project.slug

    def clean(self) -> None:
        """An address needs a target, “only here” a place."""
        if self.kind == RuleKind.ADDRESS and not self.target:
            raise ValidationError({"target": "Name the service that the address must lead to."})
        if self.kind == RuleKind.ONLY and not self.where:
            raise ValidationError({"where": "Say where the variable belongs."})


class VariableSync(Job):
    """Reads the names and fingerprints of one project's variables, slowly; never ends."""

    step_function = "environments.jobs.sync_variables"
    step_seconds = 600.0
    tireless = True

    project = models.OneToOneField(Project, models.CASCADE, related_name="variable_sync")
    problem = models.TextField(blank=True, default="")

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"variables of {self.project}"
