"""The portal's own rows in the admin: to be read, never to be changed."""

from typing import Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property

from portal.models import AuditEvent, WebhookDelivery

MOST_COUNTED = 10_000


class CappedPaginator(Paginator):
    """Counts no further than 10,000 rows, so that a page of a long table costs as much as one of a short."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return rows[:MOST_COUNTED].count()


class ReadOnlyAdmin(admin.ModelAdmin):
    """Shows rows to who may view them; nobody adds, changes or removes any here."""

    actions = None
    paginator = CappedPaginator
    show_full_result_count = False
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    """Searched by position, project or subject, which have an index; no filter list has to be gathered."""

    list_display = ("position", "at", "actor_name", "sentence", "subject_label", "scope", "outcome")
    list_display_links = ("position", "sentence")
    ordering = ("-position",)
    sortable_by = ("position",)
    search_fields = ("=scope",)
    search_help_text = "A position, a project, or “kind id” of a subject such as “releases.release 12”."
    fields = (
        "position",
        "at",
        "action",
        "outcome",
        "actor_name",
        "actor_id",
        "scope",
        "subject_kind",
        "subject_id",
        "subject_label",
        "sentence",
        "data_json",
        "group",
        "previous_digest",
        "own_digest",
    )
    readonly_fields = ("previous_digest", "own_digest")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet, search_term: str
    ) -> tuple[Any, bool]:
        match search_term.split():
            case []:
                found = queryset
            case [word] if word.isascii() and word.isdigit() and len(word) < 19:
                found = queryset.filter(position=int(word))
            case [kind, key]:
                found = queryset.filter(subject_kind=kind.lower(), subject_id=key)
            case _:
                found = queryset.filter(scope=search_term.strip())
        return found, False

    @admin.display(description="Digest of the event before")
    def previous_digest(self, event: AuditEvent) -> str:
        return bytes(event.previous).hex()

    @admin.display(description="Digest")
    def own_digest(self, event: AuditEvent) -> str:
        return bytes(event.digest).hex()


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(ReadOnlyAdmin):
    list_display = ("received_at", "source", "event", "action", "outcome", "size", "times", "error")
    ordering = ("-pk",)
    sortable_by = ()
    search_fields = ("=delivery",)
    search_help_text = "A delivery id, exactly."
