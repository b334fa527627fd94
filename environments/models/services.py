"""Environments and the services that run in them, as seen on Railway."""

from collections.abc import Iterable
from typing import Self

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q

from environments.models.environments import LONG_LIVED, Environment
from environments.models.project import Project


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
        help_text=(
            "Whether a release waits for it. Unknown: it does if it is built from the project's"
            " repository."
        ),
    )

    class Meta:
        ordering = ["name"]
        permissions = [("place_service", "Can say which services belong to the release")]
        constraints = [
            models.UniqueConstraint(fields=["project", "railway_id"], name="service_once")
        ]

    def __str__(self) -> str:
        return self.name


class AtStart(models.TextChoices):
    """Whether a service's pre-deploy and start commands run Alembic."""

    PRE_DEPLOY = "pre_deploy", "its pre-deploy command runs Alembic"
    START = "start", "its start command runs Alembic"
    NO = "no", "its commands on Railway do not run Alembic"
    UNKNOWN = "unknown", "whether it runs Alembic at its start is not known"


class ServiceInstanceQuerySet(models.QuerySet["ServiceInstance"]):
    """Services in their environments, by kind of environment."""

    def long_lived(self) -> Self:
        """Return those of staging and production that Railway still has."""
        kept = self.filter(environment__kind__in=LONG_LIVED, environment__gone_at=None)
        return kept.filter(service__gone_at=None)


class ServiceInstance(models.Model):
    """A service in one environment: the branch it follows, its addresses, what is live."""

    service = models.ForeignKey(Service, models.CASCADE, related_name="instances")
    environment = models.ForeignKey(Environment, models.CASCADE, related_name="instances")
    railway_id = models.CharField(max_length=64)
    repository = models.CharField(
        max_length=201, blank=True, default="", help_text="Empty if it is not built from GitHub."
    )
    branch = models.CharField(max_length=200, blank=True, default="")
    image = models.CharField(
        max_length=300,
        blank=True,
        default="",
        help_text="The Docker image, if it is not built from GitHub.",
    )
    watch_patterns = models.JSONField(
        default=list,
        blank=True,
        help_text="Only a push that changes these paths deploys it. Empty: every push.",
    )
    root_directory = models.CharField(
        max_length=500,
        blank=True,
        default="",
        help_text="Directory that it is built from. Empty: the repository's root.",
    )
    config_file = models.CharField(
        max_length=500,
        blank=True,
        default="",
        help_text="Path of its configuration as code. Empty: railway.toml or railway.json.",
    )
    in_repository = models.JSONField(
        default=dict,
        blank=True,
        help_text="Its configuration as code at the commit that it serves.",
    )
    cron = models.CharField(
        max_length=100,
        blank=True,
        default="",
        help_text="Its cron schedule. Empty: it runs all the time.",
    )
    unchanged = models.JSONField(
        default=dict,
        blank=True,
        help_text=(
            "The commit it serves, what it watches, and for each other commit the first watched"
            " path that differs."
        ),
    )
    domains = models.JSONField(default=list, blank=True)
    seen_at = models.DateTimeField(
        null=True, blank=True, help_text="When its state was last read. Empty: never."
    )
    at_start = models.CharField(
        max_length=10,
        choices=AtStart,
        default=AtStart.UNKNOWN,
        help_text=(
            "Whether its commands run Alembic when it starts. The commands themselves are not"
            " stored: they may contain secrets."
        ),
    )
    at_start_before = models.CharField(
        max_length=10,
        choices=AtStart,
        default=AtStart.NO,
        help_text=(
            "The same, at the reading before. A warning is withdrawn only when two readings agree."
        ),
    )
    healthcheck_path = models.CharField(
        max_length=500, blank=True, default="", help_text="As set on Railway."
    )
    rolled_back_from = models.CharField(
        max_length=64,
        blank=True,
        default="",
        help_text="The commit from which somebody rolled it back on Railway.",
    )
    autodeploy = models.BooleanField(
        null=True, blank=True, help_text="Whether a push deploys it. Empty: not known."
    )
    judged = models.CharField(
        max_length=64,
        blank=True,
        default="",
        help_text="The newest deployment whose origin is known.",
    )

    objects = ServiceInstanceQuerySet.as_manager()

    class Meta:
        ordering = ["service__name"]
        constraints = [
            models.UniqueConstraint(fields=["service", "environment"], name="instance_once")
        ]

    def __str__(self) -> str:
        return f"{self.service} in {self.environment}"

    @property
    def at_railway(self) -> tuple[str, str, str]:
        """Railway's ids of its project, its environment and its service."""
        place = self.environment
        return place.project.railway_project_id, place.railway_id, self.service.railway_id

    @property
    def limits(self) -> list[object]:
        """What decides which pushes deploy it, and from which files."""
        return [self.watch_patterns, self.root_directory, self.config_file]

    @property
    def runs_alembic(self) -> AtStart:
        """Whether its commands run Alembic when it starts: those on Railway, by the last two
        readings, or in the repository; the worst of them.
        """
        return self._worst("at_start", "image")

    @property
    def will_run_alembic(self) -> AtStart:
        """The same once the head of staging's branch is deployed, as the repository says there."""
        if "coming" in self.in_repository:
            return self._worst("coming_at_start", "coming_image")
        return self._worst("at_start", "image")

    def _worst(self, commands: str, image: str) -> AtStart:
        message = [self.at_start, self.at_start_before, self.in_repository.get(commands)]
        # A start command that is known takes the image's place.
        if self.at_start == AtStart.UNKNOWN:
            message.append(self.in_repository.get(image))
        message.append(AtStart.NO)
        worst = (AtStart.PRE_DEPLOY, AtStart.START, AtStart.UNKNOWN, AtStart.NO)
        return next(status for status in worst if status in message)

    @property
    def checked_at(self) -> str:
        """The path of the health check: the repository's word, else Railway's."""
        return str(self.in_repository.get("healthcheck") or self.healthcheck_path)


IS_CURRENT = Q(is_latest=True) | Q(is_active=True)


class DeploymentQuerySet(models.QuerySet["Deployment"]):
    """Deployments, by what they are to their service."""

    def current(self) -> Self:
        """Return the newest of each service, and those that serve."""
        return self.filter(IS_CURRENT)

    def current_of(self, instances: Iterable[ServiceInstance]) -> dict[int, list["Deployment"]]:
        """Return the current ones of these services by the instance's key. One query."""
        deployments: dict[int, list[Deployment]] = {instance.pk: [] for instance in instances}
        for deployment in self.current().filter(instance__in=deployments):
            deployments[deployment.instance_id].append(deployment)
        return deployments


class Deployment(models.Model):
    """A deployment on Railway, as last seen.

    `status` keeps Railway's word, also one that is new to us.
    """

    instance = models.ForeignKey(ServiceInstance, models.CASCADE, related_name="deployments")
    railway_id = models.CharField(max_length=64, unique=True)
    status = models.CharField(max_length=40)
    commit = models.CharField(max_length=64, blank=True, default="")
    branch = models.CharField(max_length=200, blank=True, default="")
    stopped = models.BooleanField(default=False)
    containers = models.JSONField(
        default=list, blank=True, help_text="Railway's state of each container."
    )
    is_latest = models.BooleanField(default=False)
    is_active = models.BooleanField(default=False)
    created_at = models.DateTimeField(null=True, blank=True)
    seen_at = models.DateTimeField()

    objects = DeploymentQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            models.Index(fields=["instance"], condition=IS_CURRENT, name="deployment_current")
        ]

    def __str__(self) -> str:
        return f"{self.railway_id[:8]} {self.status}"


class SmokeTest(models.Model):
    """One request that staging must answer before a promotion, production after it."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="smoke_tests")
    service = models.CharField(max_length=200)
    path = models.CharField(
        max_length=500,
        default="/health",
        validators=[RegexValidator(r"^/[^\s\\]*\Z", "Begin the path with /.")],
    )
    expected_status = models.PositiveSmallIntegerField(default=200)
    expects_commit = models.BooleanField(
        default=True, help_text="If the answer names a commit, it must be the one that was shipped."
    )

    on_staging = models.BooleanField(
        "staging", default=True, help_text="Run against staging before the promotion."
    )
    on_production = models.BooleanField(
        "production", default=True, help_text="Run against production after the deployment."
    )

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
