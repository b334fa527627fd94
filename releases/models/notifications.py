"""Channels, notices, and how far the audit trail has been read for them."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from environments.models import Project
from portal.jobs import Finished, Job, JobStatus
from portal.secrets import EncryptedTextField


class Transport(models.TextChoices):
    """How a notification travels."""

    SLACK = "slack", "Slack-compatible webhook"
    WEBHOOK = "webhook", "Signed webhook"
    EMAIL = "email", "E-mail"


class Channel(models.Model):
    """One place that is notified: a person's own, or a team's where `person` is empty."""

    name = models.CharField(max_length=100)
    transport = models.CharField(max_length=10, choices=Transport)
    address = EncryptedTextField(
        help_text="The webhook's address, which is a secret, or an e-mail address."
    )
    place = models.CharField(
        max_length=300, help_text="The part of the address that is not secret."
    )
    secret = EncryptedTextField(
        blank=True, default="", help_text="Key that signs what a signed webhook receives."
    )
    project = models.ForeignKey(
        Project,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="channels",
        help_text="Empty: every project.",
    )
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, null=True, blank=True, related_name="channels"
    )
    kinds = models.JSONField(default=list, help_text="Names from releases.notifications.kinds.")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now)
    problem = models.TextField(
        blank=True, default="", help_text="Why the newest notification could not be delivered."
    )

    class Meta:
        ordering = ["name", "pk"]
        default_permissions = ()
        permissions = [("manage_channels", "Can manage the notification channels of a team")]
        constraints = [
            models.CheckConstraint(
                condition=Q(transport__in=[name for name, _ in Transport.choices]),
                name="channel_known_transport",
            )
        ]

    def __str__(self) -> str:
        return self.name


class Notice(Job):
    """One notification on its way to one channel.

    `payload` is a releases.notifications.kinds.Message.
    """

    step_function = "releases.notifications.deliver.step"
    step_seconds = 60.0
    urgent = True
    retry_forever = True
    repeatable = False

    channel = models.ForeignKey(Channel, models.CASCADE, related_name="notices")
    kind = models.CharField(max_length=40)
    position = models.BigIntegerField(
        null=True, blank=True, help_text="Position of the audit event. Empty: a test message."
    )
    payload = models.JSONField()
    tries = models.PositiveIntegerField(default=0)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["channel", "position"],
                condition=~Q(position=None),
                name="notice_once_for_an_event",
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} to {self.channel}"

    def ended(self, outcome: Finished, *, now: object) -> None:
        """Keep on the channel what became of its newest notification."""
        problem = "" if outcome.status == JobStatus.SUCCEEDED else outcome.sentence
        Channel.objects.filter(pk=self.channel_id).update(problem=problem)


class NotificationFeed(Job):
    """Reads the trail on from `position` and makes notices of it; one row, never ends."""

    step_function = "releases.notifications.feed.step"
    urgent = True
    retry_forever = True

    single = models.BooleanField(default=True, unique=True)
    position = models.BigIntegerField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return "notifications"
