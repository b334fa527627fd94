"""Checklist templates in the admin."""

from collections.abc import Sequence

from django import forms
from django.contrib import admin, messages
from django.forms import BaseInlineFormSet, ModelForm
from django.http import HttpRequest

from portal.configuration.admin import TwoPeople, leave
from portal.ui.model_admin import TableInline
from portal.ui.site import person
from releases.checklist import items
from releases.checklist.lines import BETWEEN, wanted_lines
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
        widgets = {"text": forms.Textarea(attrs={"rows": 2})}  # a line of it would cut it off

    def clean_link(self) -> str:
        """Return a path on production's frontend, or a web address."""
        link = self.cleaned_data["link"]
        if link and not link.startswith(("/", "https://", "http://")):
            raise forms.ValidationError("Begin the link with / or https://.")
        if BETWEEN in link:
            raise forms.ValidationError("Write the link without spaces.")
        return link


class TemplateItemInline(TableInline):
    model = ChecklistTemplateItem
    form = TemplateItemForm
    extra = 1


@admin.register(ChecklistTemplate)
class ChecklistTemplateAdmin(TwoPeople):
    list_display = ("name", "kind", "project", "count")
    list_select_related = ("project",)
    inlines = (TemplateItemInline,)

    @admin.display(description="items")
    def count(self, template: ChecklistTemplate) -> int:
        return template.items.count()

    def get_readonly_fields(self, request: HttpRequest, obj: object = None) -> tuple[str, ...]:
        # A template that moves to another project is gone from this one.
        return ("project",) if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        # What it asked would be asked no longer.
        return bool(
            obj
            and super().has_delete_permission(request, obj)
            and self.kind.alone(obj, person(request))
        )

    def children_wanted(self, formset: BaseInlineFormSet) -> dict[str, object]:
        """Return the items as the form leaves them, as a proposal names them."""
        left = [form for form in formset.forms if form not in formset.deleted_forms]
        rows = [form.instance for form in left if form.has_changed() or form.instance.pk]
        return {**wanted_lines(rows, [form.instance for form in formset.deleted_forms])}

    def save_related(
        self,
        request: HttpRequest,
        form: ModelForm,
        formsets: Sequence[BaseInlineFormSet],
        change: bool,
    ) -> None:
        """Let a new template ask at first what the default asks; what else it is to ask takes
        two.
        """
        if not change and not self.kind.alone(form.instance, person(request)):
            for formset in formsets:
                leave(formset)
            formsets = []
            items.copy_default(form.instance)
            message = "It asks what the default asks. Change its items; a second person confirms."
            messages.warning(request, message)
        super().save_related(request, form, formsets, change)
