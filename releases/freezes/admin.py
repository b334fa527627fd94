"""Freezes in the admin."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest

from portal.ui.actions import Refused
from portal.ui.model_admin import ReadOnly
from portal.ui.site import person
from releases.freezes import actions
from releases.models.freezes import Freeze


@admin.register(Freeze)
class FreezeAdmin(ReadOnly):
    """Adding one freezes promotions, through the action; lifting it is an action of the list."""

    list_display = ("project", "reason", "started_at", "started_by", "lifted_at")
    list_filter = ("project",)
    fields = ("project", "reason")
    actions = ("lift",)

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.has_perm("releases.freeze_project")

    def save_model(self, request: HttpRequest, obj: Freeze, form: ModelForm, change: bool) -> None:
        made = actions.freeze(obj.project, actor=person(request), reason=obj.reason)
        obj.pk, obj.started_by, obj.started_at = made.pk, made.started_by, made.started_at

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().changeform_view(request, *args, **kwargs)
        except Refused as refusal:
            messages.error(request, str(refusal))
            return self.response_post_save_add(request, None)

    @admin.action(description="Lift the freeze")
    def lift(self, request: HttpRequest, queryset: QuerySet) -> None:
        for freeze in queryset.select_related("project"):
            try:
                actions.lift_freeze(freeze.project, actor=person(request))
            except Refused as refusal:
                messages.error(request, f"{freeze.project}: {refusal}")
