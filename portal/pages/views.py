"""The pages of the bottom layer: the audit trail, and what machines ask."""

from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, connection
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache

from portal.audit import watch
from portal.models.audit import AuditEvent
from portal.ui.paging import paged
from portal.ui.site import page

PAGE = 50
SUBJECTS = (
    ("releases.release", "Releases"),
    ("releases.checklistitem", "Checklist items"),
    ("environments.migrationrun", "Migrations"),
    ("environments.finding", "Findings"),
    ("environments.project", "Projects"),
    ("environments.environment", "Environments"),
)


@never_cache
def healthz(request: HttpRequest) -> HttpResponse:
    """200 “ok” when the database answers, else 503 and one sentence."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return HttpResponse(
            "The portal's database does not answer.\n", status=503, content_type="text/plain"
        )
    return HttpResponse("ok\n", content_type="text/plain")


@page
def audit_page(request: HttpRequest) -> HttpResponse:
    """The trail, newest first, narrowed by a plain form and paged by position."""
    if not request.user.has_perm("portal.view_auditevent"):
        raise PermissionDenied
    asked = {name: _text(request, name) for name in ("scope", "subject", "actor", "outcome")}
    pager = paged(request, _narrowed(asked), PAGE, key="position")
    context: dict[str, object] = {
        "events": pager.rows,
        "asked": asked,
        "pager": pager,
        "subjects": SUBJECTS,
        "outcomes": AuditEvent.Outcome.choices,
        "proof": watch.last_known(),
    }
    return render(request, "portal/pages/audit.html", context)


def _text(request: HttpRequest, name: str) -> str:
    """What was asked for under `name`; PostgreSQL takes no NUL."""
    return request.GET.get(name, "").replace("\x00", "").strip()[:200]


def _narrowed(asked: dict[str, str]) -> QuerySet[AuditEvent]:
    events = AuditEvent.objects.all()
    if asked["scope"]:
        events = events.filter(scope=asked["scope"])
    if asked["outcome"]:
        events = events.filter(outcome=asked["outcome"])
    if asked["actor"]:
        events = events.filter(actor_name__icontains=asked["actor"])
    kind, _, pk = asked["subject"].partition(":")
    if kind:
        events = events.filter(subject_kind=kind)
    return events.filter(subject_id=pk) if pk else events
