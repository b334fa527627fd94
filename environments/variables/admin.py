"""Rules for variables in the admin."""

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from environments.models import VariableRule
from portal.configuration.admin import TwoPeople
from portal.ui.site import person


@admin.register(VariableRule)
class VariableRuleAdmin(TwoPeople):
    list_display = ("name", "service", "kind", "target", "where", "allowed", "project")
    list_filter = ("project", "kind")
    list_select_related = ("project",)
    fields = ("project", "kind", "service", "name", "target", "where", "allowed")

    def get_readonly_fields(
        self, request: HttpRequest, obj: Model | None = None
    ) -> tuple[str, ...]:
        # A rule that moves to another project is gone from this one.
        return ("project",) if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        # No rule is the weakest one: where two people change rules, it is weakened by a proposal
        # instead.
        return bool(
            obj
            and super().has_delete_permission(request, obj)
            and self.kind.alone(obj, person(request))
        )
