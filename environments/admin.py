"""Environments in the admin: the one secret that can be set here, and rows to look at."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest

from environments.models import Deployment, Environment, Finding, MigrationRun, Service, ServiceInstance, VariableRule
from portal.site import ReadOnly, Recorded


class EnvironmentForm(forms.ModelForm):
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
        model = Environment
        fields = ()

    def clean_new_database_url(self) -> str:
        """An address of PostgreSQL without spaces around it, or nothing."""
        given = self.cleaned_data["new_database_url"]
        if given and not given.startswith(("postgresql://", "postgres://")):
            raise forms.ValidationError("Begin the address with postgresql://.")
        return given


@admin.register(Environment)
class EnvironmentAdmin(Recorded):
    form = EnvironmentForm
    list_display = ("name", "project", "kind", "seen_at", "revisions", "has_own_address")
    list_filter = ("project", "kind")
    list_select_related = ("project",)
    readonly_fields = (
        "project", "name", "kind", "railway_id", "seen_at", "gone_at", "revisions", "revisions_at",
        "revisions_problem", "has_own_address",
    )  # fmt: skip
    fields = (*readonly_fields, "new_database_url", "forget_database_url")

    @admin.display(boolean=True, description="own address")
    def has_own_address(self, environment: Environment) -> bool:
        return bool(environment.database_url)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Only the secret changes; the other columns are Railway's and may have moved meanwhile."""
        if form.cleaned_data.get("forget_database_url"):
            obj.database_url = ""
        elif form.cleaned_data.get("new_database_url"):
            obj.database_url = form.cleaned_data["new_database_url"]
        obj.save(update_fields=["database_url"])


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
    list_display = ("id", "environment", "status", "commit", "created_at", "finished_at")
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
