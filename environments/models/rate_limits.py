"""What is left of the requests that Railway allows in an hour, shared by every process."""

from django.db import models


class RailwayRateLimit(models.Model):
    """The requests of one token in this hour: our own count, and Railway's where it reports one."""

    token = models.CharField(
        max_length=16, unique=True, help_text="Digest that identifies the token."
    )
    hour = models.DateTimeField(help_text="Start of the hour in which `used` counts.")
    used = models.PositiveIntegerField(default=0)
    limit = models.PositiveIntegerField(
        null=True, blank=True, help_text="As reported by Railway. Empty: not reported."
    )
    remaining = models.PositiveIntegerField(null=True, blank=True)
    resets_at = models.DateTimeField(null=True, blank=True)
    blocked_until = models.DateTimeField(
        null=True,
        blank=True,
        help_text="Railway answered 429 and allows requests again at this time.",
    )

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.used} requests since {self.hour:%H:%M}"
