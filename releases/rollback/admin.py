"""Rollbacks in the admin: to be looked at."""

from django.contrib import admin

from portal.ui.model_admin import ReadOnly
from releases.models import Rollback, RollbackStep
from releases.steps.admin import FIELDS, StepInline


class RollbackStepInline(StepInline):
    model = RollbackStep
    fields = readonly_fields = ("name", "service", *FIELDS[1:])


@admin.register(Rollback)
class RollbackAdmin(ReadOnly):
    list_display = ("release", "status", "sentence", "requested_by", "created_at", "finished_at")
    list_filter = ("status",)
    list_select_related = ("release", "requested_by")
    inlines = (RollbackStepInline,)
