"""Releases in the admin: to be looked at."""

from django.contrib import admin

from portal.ui.model_admin import ReadOnly
from releases.models.releases import Release


@admin.register(Release)
class ReleaseAdmin(ReadOnly):
    list_display = (
        "name",
        "kind",
        "project",
        "status",
        "candidate",
        "cut_by",
        "cut_at",
        "ended_at",
    )
    list_filter = ("project", "kind", "status")
    list_select_related = ("project", "cut_by")
    exclude = ("commits",)
