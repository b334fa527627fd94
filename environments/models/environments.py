"""The environments of a project, as Railway tells them."""

from collections.abc import Iterable
from typing import Self

from django.db import models
from django.db.models import Q

from environments.models.project import Project


class EnvironmentKind(models.TextChoices):
    """What an environment is for."""

    STAGING = "staging", "staging"
    PRODUCTION = "production", "production"
    PREVIEW = "preview", "preview"
    OTHER = "other", "other"


LONG_LIVED = (EnvironmentKind.STAGING, EnvironmentKind.PRODUCTION)
_SHOWN = [*LONG_LIVED, EnvironmentKind.OTHER, EnvironmentKind.PREVIEW]


class EnvironmentQuerySet(models.QuerySet["Environment"]):
    """Environments by kind and presence."""

    def present(self) -> Self:
        """Return those that Railway still has."""
        return self.filter(gone_at=None)

    def long_lived(self) -> Self:
        """Return staging and production."""
        return self.filter(kind__in=LONG_LIVED)

    def of_kind(self, project: Project, kind: str) -> "Environment | None":
        """Return the one of this kind that the project has; None where it has none."""
        return self.filter(project=project, kind=kind).first()

    def previews(self) -> Self:
        """Return those of pull requests."""
        return self.filter(kind=EnvironmentKind.PREVIEW)


class Environment(models.Model):
    """An environment on Railway, as last seen."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="environments")
    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=20, choices=EnvironmentKind, default=EnvironmentKind.OTHER)
    railway_id = models.CharField(max_length=64)
    seen_at = models.DateTimeField(null=True, blank=True)
    gone_at = models.DateTimeField(null=True, blank=True)
    variables_at = models.DateTimeField(
        null=True, blank=True, help_text="When its variables were last read."
    )
    variables_problem = models.TextField(blank=True, default="")
    variables_since = models.DateTimeField(
        null=True, blank=True, help_text="Changes of variables are recorded from this time on."
    )
    variables_known = models.JSONField(
        default=dict,
        blank=True,
        help_text="State of the last reading, for comparison: the key, and the services read.",
    )

    pull_number = models.PositiveIntegerField(
        null=True, blank=True, help_text="Number of its pull request, for a preview."
    )
    by_railway = models.BooleanField(
        default=False, help_text="Whether Railway created it for a pull request."
    )
    config_etag = models.CharField(
        max_length=200, blank=True, default="", help_text="Changes whenever its settings change."
    )
    variables_etag = models.CharField(
        max_length=200,
        blank=True,
        default="",
        help_text="Value of config_etag when the variables were read.",
    )

    objects = EnvironmentQuerySet.as_manager()

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
                condition=Q(kind__in=LONG_LIVED, gone_at=None),
                name="environment_one_staging_one_production",
            ),
        ]

    def __str__(self) -> str:
        return self.name


def in_order(environments: Iterable[Environment]) -> list[Environment]:
    """Return environments as pages show them: staging, production, others, previews; by name."""
    return sorted(
        environments,
        key=lambda environment: (_SHOWN.index(EnvironmentKind(environment.kind)), environment.name),
    )
