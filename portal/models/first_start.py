"""The codes with which the first administrator is made, and wrong guesses at them."""

from django.db import models


class SetupCode(models.Model):
    """A code that a starting server printed, good for one administrator.

    Only its digest is held: 80 random bits need no slow hash.
    """

    digest = models.CharField(max_length=64, unique=True)
    made_at = models.DateTimeField()
    expires_at = models.DateTimeField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"setup code {self.pk}"


class SetupGuess(models.Model):
    """Wrong codes from one address since a moment."""

    address = models.CharField(max_length=64, unique=True)
    failures = models.PositiveIntegerField(default=0)
    since = models.DateTimeField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.failures} wrong codes from {self.address}"
