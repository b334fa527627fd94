"""Whether this database is the sandbox's or a real portal's."""

from django.db import models
from django.utils import timezone

from portal.secrets import EncryptedTextField


class Installation(models.Model):
    """Settled by the first start, and for good."""

    single = models.BooleanField(primary_key=True, default=True)
    sandbox = models.BooleanField()
    key_check = EncryptedTextField(
        blank=True,
        default="",
        help_text="Encrypted text that each start decrypts to check the keys.",
    )
    settled_at = models.DateTimeField(default=timezone.now)

    class Meta:
        default_permissions = ()
        constraints = [
            models.CheckConstraint(
                condition=models.Q(single=True), name="portal_installation_single_row"
            )
        ]

    def __str__(self) -> str:
        return "sandbox" if self.sandbox else "real portal"
