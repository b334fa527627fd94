"""What the portal itself remembers: the audit chain and the webhooks it was sent."""

import json
from typing import Any, Never

from django.db import models
from django.utils import timezone

from portal.access.models import Authenticator, RecoveryCode
from portal.configuration.models import ConfigurationChange, RoleGrant
from portal.health.models import HealthWatch, Incident, Observation, ProcessReport
from portal.secrets import EncryptedTextField

__all__ = [
    "AuditEvent",
    "AuditHead",
    "Authenticator",
    "ConfigurationChange",
    "HealthWatch",
    "Incident",
    "Installation",
    "Observation",
    "ProcessReport",
    "RecoveryCode",
    "RoleGrant",
    "WebhookDelivery",
]


class AuditEvent(models.Model):
    """One thing that happened: written only by `portal.audit.record`, never changed, hashed with the last.

    A view: what the one text of an event says, line by line (migration 0002). docs/audit.md says what is hashed.
    """

    class Outcome(models.TextChoices):
        DONE = "done", "Done"
        REFUSED = "refused", "Refused"
        FAILED = "failed", "Failed"
        FOUND = "found", "Found"

    position = models.BigIntegerField(primary_key=True)
    at = models.DateTimeField()
    action = models.TextField()
    outcome = models.TextField(choices=Outcome)
    # A number, not a foreign key: an account may go, its deeds stay. Null is the portal itself.
    actor_id = models.BigIntegerField(null=True)
    actor_name = models.TextField()
    scope = models.TextField()
    subject_kind = models.TextField()
    subject_id = models.TextField()
    subject_label = models.TextField()
    sentence = models.TextField()
    data_json = models.TextField(db_column="data")
    group = models.UUIDField()
    digest = models.BinaryField()

    class Meta:
        managed = False
        default_permissions = ("view",)
        ordering = ["-position"]
        verbose_name = "audit event"

    def __str__(self) -> str:
        return f"{self.position} {self.action} {self.outcome}"

    def save(self, *args: object, **kwargs: object) -> Never:
        raise TypeError("An audit event is written by portal.audit.record and never changed.")

    def delete(self, *args: object, **kwargs: object) -> Never:
        raise TypeError("An audit event is never deleted.")

    @property
    def data(self) -> dict[str, Any]:
        """The details of the event, as they were given to `record`."""
        return json.loads(self.data_json)


class AuditHead(models.Model):
    """The last position and digest of the chain, in a single row which each append locks and moves."""

    single = models.BooleanField(primary_key=True, default=True)
    position = models.BigIntegerField(default=0)
    digest = models.BinaryField()

    class Meta:
        default_permissions = ()
        constraints = [models.CheckConstraint(condition=models.Q(single=True), name="portal_audithead_single_row")]

    def __str__(self) -> str:
        return f"head at {self.position}"


class Installation(models.Model):
    """Whether this database is the sandbox's or a real portal's: settled by its first start, and for good."""

    single = models.BooleanField(primary_key=True, default=True)
    sandbox = models.BooleanField()
    key_check = EncryptedTextField(blank=True, default="", help_text="Read at each start: whether the keys fit.")
    settled_at = models.DateTimeField(default=timezone.now)

    class Meta:
        default_permissions = ()
        constraints = [models.CheckConstraint(condition=models.Q(single=True), name="portal_installation_single_row")]

    def __str__(self) -> str:
        return "sandbox" if self.sandbox else "real portal"


class WebhookDelivery(models.Model):
    """One delivery that GitHub or Railway made, genuine and read once; forged ones are not stored."""

    class Source(models.TextChoices):
        GITHUB = "github", "GitHub"
        RAILWAY = "railway", "Railway"

    class Outcome(models.TextChoices):
        HANDLED = "handled", "Handled"
        IGNORED = "ignored", "Nothing handles it"
        UNREADABLE = "unreadable", "Could not be read"
        FAILED = "failed", "Its handler failed"

    source = models.TextField(choices=Source)
    delivery = models.TextField(help_text="GitHub's delivery id, or the SHA-256 of a Railway body.")
    event = models.TextField(blank=True)
    action = models.TextField(blank=True)
    received_at = models.DateTimeField()
    size = models.PositiveIntegerField(help_text="Bytes received, before trimming.")
    body = models.TextField(blank=True, help_text="The beginning of the body.")
    outcome = models.TextField(choices=Outcome)
    error = models.TextField(blank=True)
    times = models.PositiveIntegerField(default=1, help_text="How often its handler was tried.")

    class Meta:
        default_permissions = ("view",)
        ordering = ["-pk"]
        verbose_name_plural = "webhook deliveries"
        constraints = [
            models.UniqueConstraint(fields=["source", "delivery"], name="portal_webhookdelivery_once"),
        ]

    def __str__(self) -> str:
        return f"{self.source} {self.event} {self.delivery}"
