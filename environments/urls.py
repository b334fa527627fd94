"""Addresses of environments and migration runs."""

from django.urls import path

from environments import (
    preview_views,
    rehearsal_views,
    reset_views,
    service_panels,
    standing_views,
    variable_views,
    views,
)
from environments.renaming import views as renaming

urlpatterns = [
    path("environments/", views.environments, name="environments"),
    path("environments/<slug:slug>/sync-staging/", views.sync_staging, name="staging-sync"),
    path("environments/<slug:slug>/back-merge/", views.back_merge, name="back-merge"),
    path("environments/<slug:slug>/reset/", reset_views.ask, name="reset-ask"),
    path("resets/<int:pk>/sign/", reset_views.sign, name="reset-sign"),
    path("resets/<int:pk>/take-back/", reset_views.take_back, name="reset-take-back"),
    path("services/<int:pk>/place/", service_panels.place, name="service-place"),
    path("instances/<int:pk>/branch/", views.repair_branch, name="branch-repair"),
    path("instances/<int:pk>/push/", views.repair_push, name="push-repair"),
    path("instances/<int:pk>/deploy/", views.deploy_head, name="head-deploy"),
    path("previews/", preview_views.index, name="previews"),
    path("previews/<int:pk>/rebuild/", preview_views.rebuild, name="preview-rebuild"),
    path("previews/<int:pk>/remove/", preview_views.remove, name="preview-remove"),
    path("previews/<slug:slug>/variable/", preview_views.set_variable, name="preview-variable"),
    path("preview-variables/<int:pk>/remove/", preview_views.remove_variable, name="preview-variable-remove"),
    path("environments/<int:pk>/adopt/", preview_views.adopt_outsider, name="environment-adopt"),
    path("environments/<int:pk>/delete/", preview_views.delete_outsider, name="environment-delete"),
    path("protections/", views.protections_, name="protections"),
    path("protections/<slug:slug>/protect/", views.protect, name="protect"),
    path("protections/<slug:slug>/rename/", renaming.rename, name="rename"),
    path("variables/", variable_views.variables, name="variables"),
    path("connections/", views.connections, name="connections"),
    path("connections/check/", views.check_connections, name="connections-check"),
    path("connections/<slug:slug>/host-keys/", views.pin_host_keys, name="host-keys"),
    path("findings/<int:pk>/resolve/", views.resolve, name="finding-resolve"),
    path("migrations/", views.migrations, name="migrations"),
    path("databases/<int:pk>/compare/", standing_views.compare, name="schema-compare"),
    path("migrations/<int:pk>/", views.migration, name="migration"),
    path("migrations/<int:pk>/panels/", views.migration_panels, name="migration-panels"),
    path("migrations/<int:pk>/log/", views.migration_log, name="migration-log"),
    path("migrations/<int:pk>/cancel/", views.cancel, name="migration-cancel"),
    path("migrations/<int:pk>/retry/", views.retry, name="migration-retry"),
    path("rehearsals/<int:pk>/", rehearsal_views.rehearsal, name="rehearsal"),
    path("rehearsals/<int:pk>/panels/", rehearsal_views.panels, name="rehearsal-panels"),
    path("rehearsals/<int:pk>/cancel/", rehearsal_views.cancel, name="rehearsal-cancel"),
    path("rehearsals/<int:pk>/again/", rehearsal_views.again, name="rehearsal-again"),
]
