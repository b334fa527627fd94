"""The steps of a job as rows in the admin."""

from django.db.models import Model
from django.http import HttpRequest

from portal.ui.model_admin import TableInline

FIELDS: tuple[str, ...] = (
    "name",
    "status",
    "looks",
    "started_at",
    "finished_at",
    "sentence",
    "world",
)


class StepInline(TableInline):
    extra, can_delete = 0, False
    fields = readonly_fields = FIELDS

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False
