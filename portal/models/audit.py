"""The audit chain."""

import json
from typing import Never

from django.db import models

from portal.outbound.parsing import JsonObject


class AuditEvent(models.Model):
    """One thing that happened: written only by `portal.audit.record`, never changed.

    A view: what the one text of an event says, line by line (migration 0002; docs/audit.md).
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
    def data(self) -> JsonObject:
        """The details of the event, as they were given to `record`."""
        return json.loads(self.data_json)


class AuditHead(models.Model):
    """The last position and digest of the chain, in a row which each append locks and moves."""

    single = models.BooleanField(primary_key=True, default=True)
    position = models.BigIntegerField(default=0)
    digest = models.BinaryField()

    class Meta:
        default_permissions = ()
        constraints = [
            models.CheckConstraint(
                condition=models.Q(single=True), name="portal_audithead_single_row"
            )
        ]

    def __str__(self) -> str:
        return f"head at {self.position}"
