"""Databases of environments in the admin; their addresses are write-only."""

from typing import cast
from urllib.parse import urlsplit

from django import forms
from django.contrib import admin
from django.db.models import Model
from django.forms import ModelForm
from django.http import HttpRequest

from environments.models import EnvironmentDatabase, MigrationRun
from portal.configuration.admin import TwoPeople
from portal.secrets import HiddenText
from portal.ui.model_admin import ReadOnly


class AddressForm(forms.ModelForm):
    """The address is write-only: it is never shown, and an empty field leaves it as it is."""

    new_database_url = forms.CharField(
        label="Database address",
        required=False,
        max_length=2000,
        widget=forms.PasswordInput(render_value=False, attrs={"autocomplete": "off", "size": 60}),
        help_text=(
            "Set it only if the address in Railway's variable cannot be reached from here. It is"
            " not shown again. Leave empty to keep the stored one."
        ),
    )
    forget_database_url = forms.BooleanField(label="Delete the stored address", required=False)

    class Meta:
        model = EnvironmentDatabase
        fields = ()

    def clean_new_database_url(self) -> str:
        """Return an address of PostgreSQL without spaces around it, or nothing."""
        given = self.cleaned_data["new_database_url"]
        if given and not given.startswith(("postgresql://", "postgres://")):
            raise forms.ValidationError("Begin the address with postgresql://.")
        return given


@admin.register(EnvironmentDatabase)
class EnvironmentDatabaseAdmin(TwoPeople):
    """One row for each database in each environment, made when it is first read."""

    form = AddressForm
    list_display = (
        "environment",
        "database",
        "project",
        "revisions",
        "revisions_at",
        "has_own_address",
    )
    list_filter = ("environment__project", "environment__kind")
    list_select_related = ("environment__project", "database")
    readonly_fields = (
        "environment",
        "database",
        "revisions",
        "revisions_at",
        "revisions_problem",
        "has_own_address",
    )
    fields = (*readonly_fields, "new_database_url", "forget_database_url")

    @admin.display
    def project(self, place: EnvironmentDatabase) -> str:
        return str(place.environment.project)

    @admin.display(boolean=True, description="own address")
    def has_own_address(self, place: EnvironmentDatabase) -> bool:
        return bool(place.url)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def save_model(
        self, request: HttpRequest, obj: EnvironmentDatabase, form: ModelForm, change: bool
    ) -> None:
        """Let only the secret change, by two people: the other columns are the portal's."""
        forget = form.cleaned_data["forget_database_url"]
        given = "" if forget else form.cleaned_data["new_database_url"]
        if given or (forget and obj.url):
            values = {"address": (where(obj), place_in_words(given))}
            self.propose(request, obj, values={}, shown=values, secrets={"url": given})


def where(place: EnvironmentDatabase) -> str:
    """Return where the database's own address leads, without user and password."""
    kept = place.url
    return place_in_words(cast(HiddenText, kept).reveal() if kept else "")


def place_in_words(url: str) -> str:
    """Return host, port and name of a database, as a second person has to see them."""
    if not url:
        return "as Railway's variable says"
    try:
        parts = urlsplit(url)
        return f"{parts.hostname or 'no host'}:{parts.port or 5432}{parts.path}"
    except ValueError:
        return "an address that cannot be read"


@admin.register(MigrationRun)
class MigrationRunAdmin(ReadOnly):
    list_display = (
        "id",
        "environment",
        "database",
        "status",
        "commit",
        "created_at",
        "finished_at",
    )
    list_filter = ("status", "environment__project")
    list_select_related = ("environment__project",)
    exclude = ("log", "revisions")
