"""The steps of a job as rows in the admin."""

from django.db.models import Model
from django.http import HttpRequest

from portal.ui.model_admin import TableInline


class StepInline(TableInline):
    extra, can_delete = 0, False

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False
