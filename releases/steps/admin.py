"""The steps of a job as rows in the admin."""

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest


class StepInline(admin.TabularInline):
    extra, can_delete = 0, False

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False
