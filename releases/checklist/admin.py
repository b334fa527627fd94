"""Checklist templates in the admin."""

from django import forms
from django.contrib import admin

from portal.ui.site import AuditedAdmin
from releases.gates import GATES
from releases.models.checklist import ChecklistTemplate, ChecklistTemplateItem


def gate_choices() -> list[tuple[str, str]]:
    """Return what decides a line: a person, or one of the gates that a checklist can name."""
    listed = [(gate.name, gate.label) for gate in GATES.values() if gate.listed]
    return [("", "a person ticks it"), *listed]


class TemplateItemForm(forms.ModelForm):
    """A line of a template; its gate is chosen, not typed."""

    gate = forms.ChoiceField(required=False, choices=gate_choices)

    class Meta:
        model = ChecklistTemplateItem
        fields = ("position", "text", "gate", "phase", "condition", "link")

    def clean_link(self) -> str:
        """A path on production's frontend, or a web address."""
        link = self.cleaned_data["link"]
        if link and not link.startswith(("/", "https://", "http://")):
            raise forms.ValidationError("Begin the link with / or https://.")
        return link


class TemplateItemInline(admin.TabularInline):
    model = ChecklistTemplateItem
    form = TemplateItemForm
    extra = 1


@admin.register(ChecklistTemplate)
class ChecklistTemplateAdmin(AuditedAdmin):
    list_display = ("name", "kind", "project", "count")
    list_select_related = ("project",)
    inlines = (TemplateItemInline,)

    @admin.display(description="items")
    def count(self, template: ChecklistTemplate) -> int:
        return template.items.count()
