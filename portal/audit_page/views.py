"""The audit trail for people: narrowed by a form, one event by itself, and all of it as a file."""

import csv
import json
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import cast

from django import forms
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone

from portal.audit import watch
from portal.invisible_characters import visible
from portal.models.audit import AuditEvent
from portal.redaction import in_texts
from portal.ui.paging import paged
from portal.ui.site import page

PAGE = 50
AT_ONCE = 2_000  # events that an export holds in memory
SUBJECTS = (
    ("releases.release", "Releases"),
    ("releases.checklistitem", "Checklist items"),
    ("environments.migrationrun", "Migrations"),
    ("environments.finding", "Findings"),
    ("environments.project", "Projects"),
    ("environments.environment", "Environments"),
    ("auth.user", "People"),
    ("auth.group", "Roles"),
)
COLUMNS = (
    "position",
    "at",
    "project",
    "release",
    "actor",
    "action",
    "outcome",
    "object_kind",
    "object_id",
    "object",
    "sentence",
    "data",
    "group",
    "digest",
)
LOOKUPS = {
    "scope": "scope",
    "outcome": "outcome",
    "actor": "actor_name__icontains",
    "action": "action__startswith",
    "since": "at__gte",
}
MINUTE = "%Y-%m-%dT%H:%M"
WHOLE_DAY = {"since": "T00:00", "until": "T23:59"}  # for an address that names a day alone
# Also as East Asian keyboards type them, which some spreadsheets take as well.
FORMULA = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")


def _minute(label: str) -> forms.DateTimeField:
    shown = forms.DateTimeInput(attrs={"type": "datetime-local"}, format=MINUTE)
    return forms.DateTimeField(label=label, required=False, widget=shown, input_formats=[MINUTE])


class TrailFilter(forms.Form):
    """What the trail is narrowed by; each field is a part of the page's address."""

    scope = forms.CharField(label="Project", max_length=200, required=False)
    subject = forms.CharField(label="Object", max_length=300, required=False)
    actor = forms.CharField(label="Person", max_length=200, required=False)
    action = forms.CharField(label="Action", max_length=200, required=False)
    outcome = forms.ChoiceField(
        label="Outcome", choices=[("", "any"), *AuditEvent.Outcome.choices], required=False
    )
    since = _minute("From")
    until = _minute("To")
    text = forms.CharField(label="Text", max_length=200, required=False)

    def narrowed(self) -> QuerySet[AuditEvent]:
        """Return the events that fit; a field with a fault narrows nothing."""
        cleaned = self.cleaned_data
        given = {lookup: cleaned[name] for name, lookup in LOOKUPS.items() if cleaned.get(name)}
        events = AuditEvent.objects.filter(**given)
        if cleaned.get("until"):
            events = events.filter(at__lt=cleaned["until"] + timedelta(minutes=1))
        if cleaned.get("text"):
            query = cleaned["text"]
            events = events.filter(Q(sentence__icontains=query) | Q(subject_label__icontains=query))
        kind, _, pk = cleaned.get("subject", "").partition(":")
        events = events.filter(subject_kind=kind) if kind else events
        return events.filter(subject_id=pk) if pk else events


def _asked(request: HttpRequest) -> TrailFilter:
    """Return the form of the request's address, for those who may read the trail."""
    if not request.user.has_perm("portal.view_auditevent"):
        raise PermissionDenied
    # PostgreSQL takes no NUL.
    query = {name: request.GET[name].replace("\x00", "") for name in request.GET}
    for name, rest in WHOLE_DAY.items():
        if len(query.get(name, "")) == len("2026-11-29"):
            query[name] += rest
    form = TrailFilter(query)
    form.is_valid()
    return form


@page
def audit_page(request: HttpRequest) -> HttpResponse:
    """Show the trail, newest first, paged by position."""
    form = _asked(request)
    pager = paged(request, form.narrowed(), PAGE, key="position")
    context: dict[str, object] = {
        "form": form,
        "events": pager.rows,
        "pager": pager,
        "subjects": SUBJECTS,
        "proof": watch.last_known(),
    }
    return render(request, "portal/audit_page/audit.html", context)


@page
def event_page(request: HttpRequest, position: int) -> HttpResponse:
    """Show one event by its position in the chain, with those before and after it."""
    _asked(request)
    event = AuditEvent.objects.filter(position=position).first()
    if event is None:
        raise Http404("There is no such event.")
    later = AuditEvent.objects.filter(position__gt=position).order_by("position")
    context: dict[str, object] = {
        "event": event,
        "newer": later.values_list("position", flat=True).first(),
        "older": position - 1 if position > 1 else None,
    }
    return render(request, "portal/audit_page/audit_event.html", context)


@page
def export(request: HttpRequest, form: str) -> StreamingHttpResponse:
    """Return the events that fit, oldest first, as they are read: `form` is csv or jsonl."""
    events = _asked(request).narrowed().order_by("position")
    # The server's cursor keeps the memory small, however long the trail is.
    rows = (_flat(event) for event in events.iterator(chunk_size=AT_ONCE))
    lines = _csv(rows) if form == "csv" else _json_lines(rows)
    kind = "text/csv" if form == "csv" else "application/jsonl"
    name = f"audit-{timezone.localdate():%Y-%m-%d}.{form}"
    return StreamingHttpResponse(
        lines,
        content_type=f"{kind}; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _flat(event: AuditEvent) -> dict[str, object]:
    data = event.data
    release = event.subject_label if event.subject_kind == "releases.release" else ""
    values = (
        event.position,
        event.at.isoformat(),
        event.scope,
        release or str(data.get("release", "")),
        event.actor_name,
        event.action,
        event.outcome,
        event.subject_kind,
        event.subject_id,
        event.subject_label,
        event.sentence,
        data,
        str(event.group),
        bytes(event.digest).hex(),
    )
    return dict(zip(COLUMNS, values, strict=True))


class _Echo:
    """A file that hands back what is written, so that a row leaves as it is made."""

    def write(self, value: str) -> str:
        return value


def _csv(rows: Iterable[dict[str, object]]) -> Iterator[str]:
    writer = csv.writer(_Echo())
    yield cast(str, writer.writerow(COLUMNS))
    for row in rows:
        line = {**row, "data": json.dumps(in_texts(row["data"], visible), ensure_ascii=False)}
        yield cast(str, writer.writerow([plain(value) for value in line.values()]))


def _json_lines(rows: Iterable[dict[str, object]]) -> Iterator[str]:
    # Before it is spelt as JSON, whose escapes would carry a sign that cannot be seen past us.
    return (json.dumps(in_texts(row, visible), ensure_ascii=False) + "\n" for row in rows)


def plain(value: object) -> object:
    """Return a cell that no spreadsheet takes for a formula: text that could be one is quoted."""
    if isinstance(value, str) and value.lstrip(" \xa0\u3000").startswith(FORMULA):
        return f"'{value}"
    return value
