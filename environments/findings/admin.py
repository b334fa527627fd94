"""Findings in the admin."""

from django.contrib import admin

from environments.models import Finding
from portal.ui.model_admin import ReadOnly


@admin.register(Finding)
class FindingAdmin(ReadOnly):
    list_display = ("sentence", "project", "kind", "opened_at", "closed_at", "closed_by")
    list_filter = ("project", "kind")
