"""All addresses of the portal."""

from django.contrib import admin
from django.urls import include, path

from portal.accounts import invitations
from portal.accounts import views as access
from portal.audit_page import views as audit
from portal.configuration import views as changes
from portal.first_start import views as first_start
from portal.health import views as health
from portal.webhooks import receiving as webhooks

portal_pages = [
    path("setup/", first_start.setup, name="setup"),
    path("configuration/changes/", changes.changes, name="changes"),
    path("configuration/changes/<int:pk>/<slug:verb>/", changes.decide, name="change-do"),
    path("audit/", audit.audit_page, name="audit"),
    path("audit/<int:position>/", audit.event_page, name="audit-event"),
    path("audit/export.csv", audit.export, {"form": "csv"}, name="audit-csv"),
    path("audit/export.jsonl", audit.export, {"form": "jsonl"}, name="audit-jsonl"),
    path("sign-out/", access.sign_out, name="sign-out"),
    path("sign-in/again/", access.again, name="sign-in-again"),
    path("sign-in/resume/", access.resume, name="sign-in-resume"),
    path("invited/<uidb64>/<token>/", invitations.invited, name="invited"),
    path("account/second-factor/", access.second_factor_page, name="second-factor"),
    path("account/access-tokens/", access.access_tokens, name="access-tokens"),
    path("healthz", health.healthz, name="healthz"),
    path("health/live", health.live, name="health-live"),
    path("health/ready", health.ready, name="health-ready"),
    path("metrics", health.metrics_page, name="metrics"),
    path("status/", health.status_page, name="status"),
]
urlpatterns = [
    # First: they come most often, and each pattern before them is tried for each of them.
    path("webhooks/github/", webhooks.receive_github),
    path("webhooks/railway/<str:secret>/", webhooks.receive_railway),
    path("", include("releases.urls")),
    path("", include("environments.urls")),
    path("", include((portal_pages, "portal"))),
    path("admin/", admin.site.urls),
]
