"""Proven stamps: which revision a schema is, and the two people who had it written down."""

from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from environments.models.databases import Database
from environments.models.environments import Environment
from portal import audit
from portal.jobs import OPEN, Finished, Job
from portal.models.sign_in_policy import Policy


class Stamp(Job):
    """The proof which revision a database's schema is, and the stamp that writes it.

    It stays open while the two people are awaited. `succeeded`: the version table holds `target`.
    """

    step_function = "environments.stamps.job.step"
    step_seconds = 3600.0

    environment = models.ForeignKey(Environment, models.PROTECT, related_name="stamps")
    database = models.ForeignKey(Database, models.PROTECT, related_name="stamps")
    commit = models.CharField(max_length=64, help_text="The commit whose revisions are compared.")
    branch = models.CharField(max_length=250)
    before = models.JSONField(
        default=list, help_text="Content of the version table before the stamp."
    )
    schema = models.CharField(
        max_length=64,
        blank=True,
        default="",
        help_text="Digest of the real schema. Empty: not read.",
    )
    equal = models.JSONField(
        default=list,
        help_text="Revisions whose schema is equal, newest first: rows of the version table.",
    )
    nearest = models.JSONField(
        default=list, help_text="The most similar revision, if none is equal."
    )
    differences = models.JSONField(
        default=list, help_text="Differences from the most similar revision, as sentences."
    )
    tried = models.PositiveIntegerField(default=0)
    target = models.JSONField(
        default=list, help_text="Rows to write into the version table. Empty: not proposed."
    )
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    proposed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+"
    )
    approved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+"
    )
    reason = models.TextField(blank=True, default="", max_length=2000)
    cancel_requested_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-pk"]
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(
                fields=["environment", "database"],
                condition=Q(status__in=OPEN),
                name="stamp_one_open",
            ),
            models.CheckConstraint(
                condition=~Q(approved_by=F("proposed_by")), name="stamp_two_people"
            ),
            models.CheckConstraint(
                condition=Q(approved_by=None) | (Q(proposed_by__isnull=False) & ~Q(target=[])),
                name="stamp_approved_when_proposed",
            ),
        ]

    def __str__(self) -> str:
        return f"stamp of {self.database.of(self.environment)}"

    @property
    def sign_in_policy(self) -> Policy:
        return self.environment.project.sign_in_policy

    def ended(self, outcome: Finished, *, now: datetime) -> None:
        known = {"commit": self.commit, "before": self.before}
        known |= {"target": self.target, "schema": self.schema}
        audit.record_end("stamp.ended", self, outcome, now=now, data=known)


def stamped_from(database: Database) -> dict[str, list[str]]:
    """Return what each revision that was stamped took the place of. One query."""
    done = Stamp.objects.filter(database=database, status="succeeded").order_by("pk")
    return {id: before for target, before in done.values_list("target", "before") for id in target}
