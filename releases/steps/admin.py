"""The steps of a job as rows in the admin."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest


class StepInline(admin.TabularInline):
    extra, can_delete = 0, False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
