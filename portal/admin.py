"""The portal's own tables in the admin: read only, and quick when there are a million rows."""

import json
from typing import Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.safestring import SafeString

from portal.accounts.events import PersonAdmin, RoleAdmin  # noqa: F401 - registered by being imported
from portal.models.audit import AuditEvent
from portal.models.webhooks import WebhookDelivery
from portal.ui.model_admin import ReadOnly

COUNTED = 5_000
PREFORMATTED = '<pre tabindex="0">{}</pre>'


class NearestPages(Paginator):
    """Counts the newest 5,000 rows; `?position__lte=` or `?id__lte=` reaches the older ones."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return rows[:COUNTED].count()


class Newest(ReadOnly):
    """Shows, newest first, and changes nothing, whoever asks."""

    paginator = NearestPages
    show_full_result_count = False
    list_per_page = 50
    list_max_show_all = 200
    ordering = ("-pk",)
    sortable_by = ()


@admin.register(AuditEvent)
class AuditEventAdmin(Newest):
    """The chain, event by event. A position is searched for by its number, a subject by its own."""

    list_display = (
        "position",
        "at",
        "actor_name",
        "action",
        "outcome",
        "subject_label",
        "sentence",
    )
    search_fields = ("=position",)
    search_help_text = "The position of an event"
    fields = (
        "position",
        "at",
        "actor_name",
        "actor_id",
        "action",
        "outcome",
        "sentence",
        "scope",
        "subject_kind",
        "subject_id",
        "subject_label",
        "details",
        "group",
        "digest_hex",
    )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet, search_term: str
    ) -> tuple[QuerySet, bool]:
        """Search by primary key alone: words in a million sentences would take seconds."""
        if not search_term:
            return queryset, False
        if not (search_term.isascii() and search_term.isdigit() and len(search_term) < 19):
            return queryset.none(), False
        return queryset.filter(position=int(search_term)), False

    @admin.display(description="data")
    def details(self, event: AuditEvent) -> SafeString:
        return format_html(PREFORMATTED, json.dumps(event.data, indent=2, ensure_ascii=False))

    @admin.display(description="digest")
    def digest_hex(self, event: AuditEvent) -> str:
        return bytes(event.digest).hex()


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(Newest):
    """What GitHub and Railway delivered, and what became of it."""

    list_display = (
        "received_at",
        "source",
        "event",
        "action",
        "outcome",
        "times",
        "size",
        "delivery",
    )
    list_filter = ("source", "outcome")
    fields = (
        "source",
        "delivery",
        "event",
        "action",
        "received_at",
        "times",
        "size",
        "outcome",
        "error",
        "beginning",
    )

    @admin.display(description="beginning of the body")
    def beginning(self, delivery: WebhookDelivery) -> SafeString:
        return format_html(PREFORMATTED, delivery.body)
