"""Rules for variables in the admin."""

from django.contrib import admin

from environments.models import (
    VariableRule,
)
from portal.ui.site import Recorded


@admin.register(VariableRule)
class VariableRuleAdmin(Recorded):
    list_display = ("name", "service", "kind", "target", "where", "allowed", "project")
    list_filter = ("project", "kind")
    list_select_related = ("project",)
    fields = ("project", "kind", "service", "name", "target", "where", "allowed")
