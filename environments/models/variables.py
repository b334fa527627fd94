"""Variables as far as they may be known, and what must hold for them."""

from django.core.exceptions import ValidationError
from django.db import models

from environments.models.environments import Environment
from environments.models.project import Project
from environments.models.services import Service


class Variable(models.Model):
    """That a variable exists in an environment, and what can be compared of it.

    Its value is never kept.
    """

    environment = models.ForeignKey(Environment, models.CASCADE, related_name="variables")
    service = models.ForeignKey(
        Service,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="variables",
        help_text="Name of its service. Empty: a shared variable.",
    )
    name = models.CharField(max_length=200)
    sealed = models.BooleanField(default=False)
    references = models.JSONField(
        default=list, help_text="References in its value, such as backend.RAILWAY_PUBLIC_DOMAIN."
    )
    fingerprint = models.CharField(
        max_length=64,
        blank=True,
        default="",
        help_text="Keyed fingerprint of the value. Empty: the value is sealed or empty.",
    )
    host_fingerprint = models.CharField(
        max_length=64,
        blank=True,
        default="",
        help_text="Keyed fingerprint of the host in the value.",
    )
    host_reference = models.CharField(
        max_length=420, blank=True, default="", help_text="The reference that the host is."
    )

    class Meta:
        ordering = ["service__name", "name"]
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(
                fields=["environment", "service", "name"],
                name="variable_once",
                nulls_distinct=False,
            )
        ]

    def __str__(self) -> str:
        return self.name


class VariableChange(models.Model):
    """That a variable appeared, changed or went away between two readings; never its value."""

    environment = models.ForeignKey(Environment, models.CASCADE, related_name="variable_changes")
    service = models.ForeignKey(Service, models.CASCADE, null=True, blank=True, related_name="+")
    name = models.CharField(max_length=200)
    what = models.CharField(max_length=10, help_text="added, changed or removed")
    at = models.DateTimeField(help_text="When it was noticed.")

    class Meta:
        ordering = ["-at"]
        default_permissions = ("view",)
        indexes = [models.Index(fields=["environment", "at"])]

    def __str__(self) -> str:
        return f"{self.name} {self.what}"


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
    service = models.CharField(
        max_length=200, default="*", help_text="Name of a service; * stands for any letters."
    )
    name = models.CharField(
        max_length=200, help_text="Name of a variable; * stands for any letters."
    )
    target = models.CharField(
        max_length=200,
        blank=True,
        default="",
        help_text="For an address: the service that it must lead to.",
    )
    where = models.CharField(
        max_length=20,
        blank=True,
        default="",
        choices=[("staging", "staging"), ("production", "production")],
        help_text="For “only here”: the environment that the variable belongs to.",
    )
    allowed = models.CharField(
        max_length=500,
        blank=True,
        default="",
        help_text="For “separate”: names whose values may be equal. Separate them with commas.",
    )

    class Meta:
        ordering = ["kind", "service", "name"]
        constraints = [
            models.UniqueConstraint(
                fields=["project", "kind", "service", "name", "target", "where"],
                name="variable_rule_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind}: {self.name} of {self.service}"

    def clean(self) -> None:
        """Require a target for an address, and an environment for “only here”."""
        if self.kind == RuleKind.ADDRESS and not self.target:
            raise ValidationError({"target": "Name the service that the address must lead to."})
        if self.kind == RuleKind.ONLY and not self.where:
            raise ValidationError({"where": "Say where the variable belongs."})
