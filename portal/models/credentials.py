"""The credentials for GitHub and Railway that were pasted in the browser."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from portal.secrets import EncryptedTextField


class ServiceCredential(models.Model):
    """One credential, write-only: for every project, or for the one whose slug is its scope.

    It goes before what the environment variables say, and counts from the next call on.
    """

    class Service(models.TextChoices):
        GITHUB = "github", "GitHub"
        RAILWAY = "railway", "Railway"

    class Kind(models.TextChoices):
        TOKEN = "token", "token"
        PROJECT_TOKEN = "project_token", "project token"
        APP = "app", "GitHub App"

    service = models.CharField(max_length=10, choices=Service)
    scope = models.CharField(
        max_length=50,
        blank=True,
        default="",
        help_text="Slug of the project; empty for every project.",
    )
    kind = models.CharField(max_length=20, choices=Kind, default=Kind.TOKEN)
    secret = EncryptedTextField(credential=True, help_text="The token, or the App's private key.")
    app_id = models.CharField(max_length=20, blank=True, default="")
    installation_id = models.CharField(max_length=20, blank=True, default="")
    app_slug = models.CharField(max_length=100, blank=True, default="")
    changed_at = models.DateTimeField()
    changed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+"
    )

    class Meta:
        verbose_name = "credential"
        constraints = [
            models.UniqueConstraint(
                fields=["service", "scope"], name="portal_servicecredential_once"
            ),
            models.CheckConstraint(
                condition=~Q(kind="app") | (Q(service="github") & ~Q(app_id="")),
                name="portal_servicecredential_app_is_githubs",
            ),
        ]

    def __str__(self) -> str:
        whose = f" of {self.scope}" if self.scope else ""
        return f"{self.get_service_display()} {self.get_kind_display()}{whose}"

    @property
    def audit_scope(self) -> str:
        return self.scope


class NewGitHubApp(models.Model):
    """A GitHub App that was made from here and is not in use yet: it has to be installed first."""

    scope = models.CharField(max_length=50, blank=True, default="", unique=True)
    app_id = models.CharField(max_length=20)
    app_slug = models.CharField(max_length=100)
    private_key = EncryptedTextField(credential=True)
    made_at = models.DateTimeField()
    made_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"GitHub App {self.app_slug}"

    @property
    def audit_scope(self) -> str:
        return self.scope
