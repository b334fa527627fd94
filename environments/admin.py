"""Environments in the admin: the one secret that can be set here, and rows to look at."""

from contextlib import suppress
from typing import Any, cast
from urllib.parse import urlsplit

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone

from environments import ssh
from environments.git import GitError
from environments.mirrors import git_address
from environments.models import (
    DeployKey,
    Deployment,
    Environment,
    EnvironmentDatabase,
    Finding,
    MigrationRun,
    Service,
    ServiceInstance,
    VariableRule,
)
from portal.configuration.admin import TwoPeople
from portal.secrets import HiddenText
from portal.site import ReadOnly, Recorded


@admin.register(Environment)
class EnvironmentAdmin(ReadOnly):
    list_display = ("name", "project", "kind", "seen_at", "gone_at")
    list_filter = ("project", "kind")
    list_select_related = ("project",)
    exclude = ("variables_known",)


class AddressForm(forms.ModelForm):
    """The database's address is write-only: it is never shown, and an empty field leaves it as it is."""

    new_database_url = forms.CharField(
        label="Database address",
        required=False,
        max_length=2000,
        widget=forms.PasswordInput(render_value=False, attrs={"autocomplete": "off", "size": 60}),
        help_text="Only where Railway's variable cannot be reached from here. Never shown; empty: leave it as it is.",
    )
    forget_database_url = forms.BooleanField(label="Forget the address that was set here", required=False)

    class Meta:
        model = EnvironmentDatabase
        fields = ()

    def clean_new_database_url(self) -> str:
        """An address of PostgreSQL without spaces around it, or nothing."""
        given = self.cleaned_data["new_database_url"]
        if given and not given.startswith(("postgresql://", "postgres://")):
            raise forms.ValidationError("Begin the address with postgresql://.")
        return given


@admin.register(EnvironmentDatabase)
class EnvironmentDatabaseAdmin(TwoPeople):
    """One row for each database in each environment, made when it is first read."""

    form = AddressForm
    list_display = ("environment", "database", "project", "revisions", "revisions_at", "has_own_address")
    list_filter = ("environment__project", "environment__kind")
    list_select_related = ("environment__project", "database")
    readonly_fields = (
        "environment", "database", "revisions", "revisions_at", "revisions_problem", "has_own_address",
    )  # fmt: skip
    fields = (*readonly_fields, "new_database_url", "forget_database_url")

    @admin.display
    def project(self, place: EnvironmentDatabase) -> str:
        return str(place.environment.project)

    @admin.display(boolean=True, description="own address")
    def has_own_address(self, place: EnvironmentDatabase) -> bool:
        return bool(place.url)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Only the secret changes, by two people; the other columns are the portal's and may have moved meanwhile."""
        given = "" if form.cleaned_data.get("forget_database_url") else form.cleaned_data.get("new_database_url")
        if given or (form.cleaned_data.get("forget_database_url") and obj.url):
            told = {"address": (where(obj), place_in_words(given or ""))}
            secrets = {"url": given or ""}
            self.propose(request, obj, values={}, shown=told, secrets=secrets)


def where(place: EnvironmentDatabase) -> str:
    """Where the database's own address leads, without user and password."""
    kept = place.url
    return place_in_words(cast(HiddenText, kept).reveal() if kept else "")


def place_in_words(url: str) -> str:
    """Host, port and name of a database, as a second person has to see them."""
    if not url:
        return "as Railway's variable says"
    try:
        parts = urlsplit(url)
        return f"{parts.hostname or 'no host'}:{parts.port or 5432}{parts.path}"
    except ValueError:
        return "an address that cannot be read"


class SecretArea(forms.Textarea):
    """A secret of several lines: what was typed is not shown again either, also when the form comes back."""

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        return super().get_context(name, None, attrs)


class DeployKeyForm(forms.ModelForm):
    """The private key is write-only: it is pasted or made here, and never shown."""

    new_key = forms.CharField(
        label="Private key",
        required=False,
        max_length=20_000,
        strip=False,
        widget=SecretArea(attrs={"rows": 8, "cols": 72, "autocomplete": "off", "spellcheck": "false"}),
        help_text="Without a passphrase. Never shown again; empty: leave it as it is.",
    )
    make_key = forms.BooleanField(
        label="Make a new key", required=False, help_text="An Ed25519 key whose private half never leaves the portal."
    )

    class Meta:
        model = DeployKey
        fields = ("project", "host_keys")

    def clean_host_keys(self) -> str:
        """Lines of known_hosts, without the hosts they name."""
        try:
            return "".join(f"{one.kind} {one.blob}\n" for one in ssh.read_host_keys(self.cleaned_data["host_keys"]))
        except ssh.BadKey as error:
            raise forms.ValidationError(str(error)) from None

    def clean(self) -> dict[str, Any]:
        """One private key, pasted or made; what may be shown of it is put beside it."""
        given = super().clean() or self.cleaned_data
        pasted = given.get("new_key", "").strip()
        if pasted and given.get("make_key"):
            self.add_error("new_key", "Paste a key or have one made, not both.")
        elif not pasted and not given.get("make_key") and not self.instance.pk:
            self.add_error("new_key", "Paste a private key, or have the portal make one.")
        elif pasted or given.get("make_key"):
            self._take(pasted or ssh.make_key())
        return given

    def _take(self, private: str) -> None:
        try:
            private, facts = ssh.take(private)
        except ssh.BadKey as error:
            self.add_error("new_key", str(error))
            return
        key = self.instance
        key.private_key, key.kind, key.public_key, key.fingerprint = (
            private,
            facts.kind,
            facts.public,
            facts.fingerprint,
        )


@admin.register(DeployKey)
class DeployKeyAdmin(Recorded):
    form = DeployKeyForm
    list_display = ("project", "kind", "fingerprint", "has_host_keys", "changed_at")
    list_select_related = ("project",)
    readonly_fields = ("kind", "fingerprint", "public_key", "changed_at")
    fields = ("project", "new_key", "make_key", "host_keys", *readonly_fields)

    @admin.display(boolean=True, description="host keys pinned")
    def has_host_keys(self, key: DeployKey) -> bool:
        return bool(key.host_keys)

    def get_queryset(self, request: HttpRequest) -> Any:
        # A list must not fail over a key that can no longer be decrypted.
        return super().get_queryset(request).defer("private_key")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return (*self.readonly_fields, "project") if obj else self.readonly_fields

    def recorded_data(self, obj: Any) -> dict[str, Any]:
        return {"kind": obj.kind, "fingerprint": obj.fingerprint}

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """GitHub's own host keys are pinned from the start; any other server's are to be confirmed."""
        with suppress(GitError):  # an address that git is not given has no host to pin
            address = ssh.address_of(git_address(obj.project, over_ssh=True))
            if not obj.host_keys and address:
                obj.host_keys = ssh.published(address.host)
        obj.changed_at = timezone.now()
        super().save_model(request, obj, form, change)


class InstanceInline(admin.TabularInline):
    model = ServiceInstance
    fields = readonly_fields = ("environment", "repository", "branch", "domains", "seen_at")
    extra, can_delete = 0, False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Service)
class ServiceAdmin(ReadOnly):
    list_display = ("name", "project", "gone_at")
    list_filter = ("project",)
    inlines = (InstanceInline,)


@admin.register(Deployment)
class DeploymentAdmin(ReadOnly):
    list_display = ("railway_id", "instance", "status", "commit", "is_latest", "is_active", "created_at")
    list_filter = ("status", "is_active")
    list_select_related = ("instance__service", "instance__environment")


@admin.register(MigrationRun)
class MigrationRunAdmin(ReadOnly):
    list_display = ("id", "environment", "database", "status", "commit", "created_at", "finished_at")
    list_filter = ("status", "environment__project")
    list_select_related = ("environment__project",)
    exclude = ("log", "revisions")


@admin.register(Finding)
class FindingAdmin(ReadOnly):
    list_display = ("sentence", "project", "kind", "opened_at", "closed_at", "closed_by")
    list_filter = ("project", "kind")


@admin.register(VariableRule)
class VariableRuleAdmin(Recorded):
    list_display = ("name", "service", "kind", "target", "where", "allowed", "project")
    list_filter = ("project", "kind")
    list_select_related = ("project",)
    fields = ("project", "kind", "service", "name", "target", "where", "allowed")
