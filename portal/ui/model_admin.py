"""Base classes of the admin: rows that are recorded in the audit trail when edited, or
read-only.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.admin.utils import unquote
from django.db import transaction
from django.db.models import JSONField, Model, QuerySet
from django.forms import BaseInlineFormSet, ModelForm
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from portal.audit import row_changes
from portal.outbound.parsing import JsonObject
from portal.templatetags.formatting import pretty
from portal.ui.site import person


class LabelledRows(BaseInlineFormSet):
    """Rows of a table whose every control has a name: its column's, for those who do not see it."""

    def add_fields(self, form: ModelForm, index: int | None) -> None:
        super().add_fields(form, index)
        row = f" of row {index + 1}" if index is not None else ""
        for name, field in form.fields.items():
            label = "Delete" if name == "DELETE" else field.label or name
            field.widget.attrs.setdefault("aria-label", f"{label}{row}")


class TableInline(admin.TabularInline):
    """Rows that are edited as a table within what they belong to."""

    formset = LabelledRows


class AuditedAdmin(admin.ModelAdmin):
    """Configuration whose changes are part of the trail: no event, no change.

    An event holds what each field was and is, those of inline rows too, and of a secret only that
    it was changed.
    """

    actions: Sequence[str] | None = None  # each deletion is confirmed, and recorded, by itself
    list_editable = ()

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: JsonObject | None = None,
    ) -> HttpResponse:
        with self._remembering(request, object_id):
            return super().changeform_view(request, object_id, form_url, extra_context)

    @contextmanager
    def _remembering(self, request: HttpRequest, object_id: str | None) -> Iterator[None]:
        """One transaction, at whose beginning the row is locked and its fields are kept for the
        event.
        """
        with transaction.atomic():
            row = (
                self.get_object(request, unquote(object_id))
                if object_id and request.method == "POST"
                else None
            )
            request.stored_before = (  # type: ignore[attr-defined]
                row_changes.with_children(row, self._children(), lock=True) if row else {}
            )
            yield

    def _children(self) -> list[tuple[type[Model], str]]:
        """Return the models that are edited within this one, each with its link to it."""
        children = []
        for inline in self.inlines:
            link = next(
                field
                for field in inline.model._meta.concrete_fields
                if field.related_model is self.model
            )
            children.append((inline.model, link.name))
        return children

    def log_addition(self, request: HttpRequest, obj: Model, message: object) -> LogEntry:
        self._record(request, obj, {}, row_changes.with_children(obj, self._children()))
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Model, message: object) -> LogEntry:
        before = request.stored_before  # type: ignore[attr-defined]
        self._record(request, obj, before, row_changes.with_children(obj, self._children()))
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: QuerySet) -> Any:
        for obj in queryset:
            self._record(
                request, obj, row_changes.with_children(obj, self._children(), lock=True), {}
            )
        return super().log_deletions(request, queryset)

    def recorded_data(self, obj: Any) -> JsonObject:
        """Return what the event holds besides the changes."""
        return {}

    def _record(
        self,
        request: HttpRequest,
        obj: Model,
        before: row_changes.Stored,
        after: row_changes.Stored,
    ) -> None:
        row_changes.record(
            obj, before, after, actor=person(request), data=self.recorded_data(obj) if after else {}
        )


def _pretty(field: JSONField) -> Callable[[Model], SafeString]:
    """Return a column of JSON as a page shows it."""

    @admin.display(description=field.verbose_name)
    def shown(row: Model) -> SafeString:
        return format_html('<pre tabindex="0">{}</pre>', pretty(getattr(row, field.name)))

    shown.__name__ = f"pretty_{field.name}"
    return shown


class ReadOnly(admin.ModelAdmin):
    """What the portal itself writes: to be looked at, never edited here; JSON line by line."""

    actions: Sequence[str] | None = None
    list_editable = ()

    def __init__(self, model: type[Model], admin_site: admin.AdminSite) -> None:
        super().__init__(model, admin_site)
        self.pretty = {
            field.name: _pretty(field)
            for field in model._meta.concrete_fields
            if isinstance(field, JSONField)
        }

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        return [self.pretty.get(str(name), name) for name in super().get_fields(request, obj)]

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False
