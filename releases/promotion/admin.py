"""Promotions in the admin: to be looked at."""

from django.contrib import admin

from portal.ui.model_admin import ReadOnly
from releases.models.promotion import Promotion, PromotionStep
from releases.steps.admin import StepInline


class PromotionStepInline(StepInline):
    model = PromotionStep


@admin.register(Promotion)
class PromotionAdmin(ReadOnly):
    list_display = ("release", "status", "sentence", "started_by", "created_at", "finished_at")
    list_filter = ("status",)
    list_select_related = ("release", "started_by")
    inlines = (PromotionStepInline,)
