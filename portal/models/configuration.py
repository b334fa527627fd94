"""Changes of configuration that wait for a second person or were made, and who granted roles."""

from django.apps import apps
from django.conf import settings
from django.contrib.auth.models import Group
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from portal.models.sign_in_policy import Policy
from portal.secrets import EncryptedTextField


class ConfigurationChange(models.Model):
    """New values for fields that one person alone does not change, from proposal to decision.

    `values` is what people read: field → from, to. What must not be read lies in `secrets` until it
    is decided.
    """

    class State(models.TextChoices):
        WAITING = "waiting", "waiting for a second person"
        APPLIED = "applied", "applied"
        DECLINED = "declined", "declined"
        WITHDRAWN = "withdrawn", "withdrawn"

    kind = models.CharField(
        max_length=100, help_text="Label of the model, such as environments.project."
    )
    object_id = models.BigIntegerField()
    label = models.CharField(max_length=200, help_text="Name of the changed object.")
    scope = models.CharField(
        max_length=50, blank=True, default="", help_text="Slug of the project; empty for people."
    )
    values = models.JSONField(help_text="Field → {from, to}.")
    secrets = EncryptedTextField(blank=True, default="")
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    proposed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    proposed_at = models.DateTimeField(default=timezone.now)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+"
    )
    decided_at = models.DateTimeField(null=True, blank=True)
    alone = models.CharField(
        max_length=200, blank=True, default="", help_text="Why no second person was needed."
    )

    class Meta:
        ordering = ["-pk"]
        default_permissions = ("view",)
        permissions = [
            ("confirm_configurationchange", "Can confirm a change that somebody else proposed")
        ]
        indexes = [
            models.Index(fields=["scope"], condition=Q(state="waiting"), name="change_waiting")
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "object_id"],
                condition=Q(state="waiting"),
                name="change_one_waiting",
            ),
            models.CheckConstraint(
                condition=(Q(state="waiting") & Q(decided_by=None, decided_at=None))
                | (~Q(state="waiting") & Q(decided_by__isnull=False, decided_at__isnull=False)),
                name="change_decided_by_a_person",
            ),
            models.CheckConstraint(
                condition=~Q(state="applied") | ~Q(alone="") | ~Q(decided_by=F("proposed_by")),
                name="change_by_two_people",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.label}: {', '.join(self.values)}"

    @property
    def audit_scope(self) -> str:
        return self.scope

    @property
    def sign_in_policy(self) -> Policy:
        """What confirming it demands: what its project does; for people, the strictest project."""
        projects = apps.get_model("environments", "Project").objects.all()
        if self.scope:
            projects = projects.filter(slug=self.scope)
        policies = [project.sign_in_policy for project in projects]
        minutes = [policy.minutes for policy in policies if policy.minutes]
        return Policy(any(policy.second_factor for policy in policies), min(minutes, default=None))

    @property
    def words(self) -> str:
        """Every field with its old and new value, on one line."""
        return "; ".join(
            f"{said(name)}: {said(value['from'])} → {said(value['to'])}"
            for name, value in self.values.items()
        )


def said(value: object) -> str:
    """Return a stored value as people read it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(said(item) for item in value) or "nothing"
    return str(value).replace("_", " ") if value not in ("", None) else "nothing"


class RoleGrant(models.Model):
    """Who gave a person a role, or (without a group) own rights; no row: the machine's owner."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="grants")
    group = models.ForeignKey(Group, models.CASCADE, null=True, blank=True, related_name="+")
    granted_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    confirmed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+"
    )
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["user", "group"], nulls_distinct=False, name="role_grant_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.group or 'own rights'} for {self.user} by {self.granted_by}"
