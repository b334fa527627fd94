"""The deliveries of webhooks."""

from django.db import models


class WebhookDelivery(models.Model):
    """One delivery that GitHub or Railway made, genuine and read once; no forged one is stored."""

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
    times = models.PositiveIntegerField(
        default=1, help_text="How many times the handler was tried."
    )

    class Meta:
        default_permissions = ("view",)
        ordering = ["-pk"]
        verbose_name_plural = "webhook deliveries"
        constraints = [
            models.UniqueConstraint(
                fields=["source", "delivery"], name="portal_webhookdelivery_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.source} {self.event} {self.delivery}"
