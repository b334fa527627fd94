"""What proves a person besides the password: an authenticator, and recovery codes."""

import re
from base64 import b32decode, b32encode
from datetime import datetime
from urllib.parse import quote, urlencode

from django.db import models
from django_otp.models import Device, ThrottlingMixin
from django_otp.oath import TOTP

from portal.secrets import EncryptedTextField, HiddenText

STEPS_AROUND = 1  # of 30 seconds each: clocks differ


class Authenticator(ThrottlingMixin, Device):
    """A person's authenticator app (TOTP, RFC 6238), whose secret is shown once, to be scanned."""

    secret = EncryptedTextField()
    last_step = models.BigIntegerField(
        default=-1, help_text="No code of this step or an earlier one counts again."
    )
    added_at = models.DateTimeField()

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["user"], name="portal_authenticator_one_each")
        ]

    def get_throttle_factor(self) -> int:
        """Return seconds after the first wrong code; each further one doubles them."""
        return 1

    def accepts(self, code: str, now: datetime) -> bool:
        """Return whether `code` is this moment's and unused; the caller holds and saves the row."""
        if not re.fullmatch(r"[0-9]{6}", code):
            return False
        totp = TOTP(self.key)
        totp.time = now.timestamp()
        if not totp.verify(int(code), STEPS_AROUND, self.last_step + 1):
            return False
        self.last_step = totp.t()
        return True

    @property
    def key(self) -> bytes:
        """The secret as it is counted with."""
        return b32decode(_plain(self.secret))

    @property
    def address(self) -> str:
        """What an app reads from the picture (the Key Uri Format of Google Authenticator)."""
        label = quote(f"Release portal:{self.user.get_username()}")
        query = urlencode({"secret": _plain(self.secret), "issuer": "Release portal"})
        return f"otpauth://totp/{label}?{query}"


def _plain(secret: str) -> str:
    return secret.reveal() if isinstance(secret, HiddenText) else secret


def encoded(secret: bytes) -> str:
    """Return a secret as apps take it typed in."""
    return b32encode(secret).decode().rstrip("=")


class RecoveryCode(models.Model):
    """A code that counts once instead of the app's, held as a digest: 80 random bits need no slow
    hash.
    """

    authenticator = models.ForeignKey(Authenticator, models.CASCADE, related_name="recovery_codes")
    digest = models.CharField(max_length=64)
    used_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["authenticator", "digest"], name="portal_recoverycode_once"
            )
        ]

    def __str__(self) -> str:
        return f"recovery code {self.pk}"
