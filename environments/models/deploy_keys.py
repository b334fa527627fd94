"""How the portal is let in to a repository over SSH."""

from django.db import models
from django.utils import timezone

from environments.models.project import Project
from portal.secrets import EncryptedTextField


class DeployKey(models.Model):
    """The key with which the mirror of one repository is read over SSH, and the host keys that it
    may meet.

    The private half is write-only; what is shown of it (kind, public half, fingerprint) is kept
    beside it.
    """

    project = models.OneToOneField(Project, models.CASCADE, related_name="deploy_key")
    private_key = EncryptedTextField(credential=True)
    kind = models.CharField(max_length=20, help_text="Such as ed25519, rsa 4096 or ecdsa 256.")
    public_key = models.TextField(help_text="Add it on GitHub under Deploy keys.")
    fingerprint = models.CharField(max_length=80)
    host_keys = models.TextField(
        blank=True,
        default="",
        max_length=20_000,
        help_text=(
            "The only host keys that the git server may present, one a line, as ssh-keyscan prints"
            " them."
        ),
    )
    changed_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = "deploy key"

    def __str__(self) -> str:
        return f"deploy key of {self.project}"
