"""Environments, services and deployments in the admin."""

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from environments.models import Deployment, Environment, Service, ServiceInstance
from portal.ui.model_admin import ReadOnly, TableInline


@admin.register(Environment)
class EnvironmentAdmin(ReadOnly):
    list_display = ("name", "project", "kind", "seen_at", "gone_at")
    list_filter = ("project", "kind")
    list_select_related = ("project",)
    exclude = ("variables_known",)


class InstanceInline(TableInline):
    model = ServiceInstance
    fields = readonly_fields = ("environment", "repository", "branch", "domains", "seen_at")
    extra, can_delete = 0, False

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(Service)
class ServiceAdmin(ReadOnly):
    list_display = ("name", "project", "gone_at")
    list_filter = ("project",)
    inlines = (InstanceInline,)


@admin.register(Deployment)
class DeploymentAdmin(ReadOnly):
    list_display = (
        "railway_id",
        "instance",
        "status",
        "commit",
        "is_latest",
        "is_active",
        "created_at",
    )
    list_filter = ("status", "is_active")
    list_select_related = ("instance__service", "instance__environment")
