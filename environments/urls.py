"""Addresses of environments and migration runs."""

from django.urls import path

from environments.branches import reset_views
from environments.branches import views as branches_views
from environments.connections import views as connections_views
from environments.databases import views as databases_views
from environments.findings import views as findings_views
from environments.overview import services
from environments.overview import views as overview_views
from environments.previews import views as previews_views
from environments.rehearsals import views as rehearsals_views
from environments.renaming import views as renaming
from environments.repairs import views as repairs_views
from environments.stamps import views as stamps_views
from environments.variables import views as variables_views

app_name = "environments"
urlpatterns = [
    path("environments/", overview_views.environments, name="environments"),
    path(
        "environments/<slug:slug>/sync-staging/", branches_views.sync_staging, name="staging-sync"
    ),
    path("environments/<slug:slug>/back-merge/", branches_views.back_merge, name="back-merge"),
    path("environments/<slug:slug>/reset/", reset_views.ask, name="reset-ask"),
    path("resets/<int:pk>/sign/", reset_views.sign, name="reset-sign"),
    path("resets/<int:pk>/take-back/", reset_views.take_back, name="reset-take-back"),
    path("services/<int:pk>/place/", services.place, name="service-place"),
    path("instances/<int:pk>/branch/", repairs_views.repair_branch, name="branch-repair"),
    path("instances/<int:pk>/push/", repairs_views.repair_push, name="push-repair"),
    path("instances/<int:pk>/deploy/", repairs_views.deploy_head, name="head-deploy"),
    path("previews/", previews_views.index, name="previews"),
    path("previews/<int:pk>/rebuild/", previews_views.rebuild, name="preview-rebuild"),
    path("previews/<int:pk>/remove/", previews_views.remove, name="preview-remove"),
    path("previews/<slug:slug>/variable/", previews_views.set_variable, name="preview-variable"),
    path(
        "preview-variables/<int:pk>/remove/",
        previews_views.remove_variable,
        name="preview-variable-remove",
    ),
    path("environments/<int:pk>/adopt/", previews_views.adopt_outsider, name="environment-adopt"),
    path(
        "environments/<int:pk>/delete/", previews_views.delete_outsider, name="environment-delete"
    ),
    path("protections/", branches_views.protections_, name="protections"),
    path("protections/<slug:slug>/protect/", branches_views.protect, name="protect"),
    path("protections/<slug:slug>/require/", branches_views.require, name="require"),
    path("protections/<slug:slug>/keep-heads/", branches_views.keep_heads, name="keep-heads"),
    path("protections/<slug:slug>/rename/", renaming.rename, name="rename"),
    path("variables/", variables_views.variables, name="variables"),
    path("connections/", connections_views.connections, name="connections"),
    path("connections/check/", connections_views.check_connections, name="connections-check"),
    path("connections/<slug:slug>/host-keys/", connections_views.pin_host_keys, name="host-keys"),
    path("findings/<int:pk>/resolve/", findings_views.resolve, name="finding-resolve"),
    path(
        "environments/<slug:slug>/resolve/", findings_views.resolve_several, name="findings-resolve"
    ),
    path("migrations/", databases_views.migrations, name="migrations"),
    path("databases/<int:pk>/compare/", rehearsals_views.compare, name="schema-compare"),
    path("databases/<int:pk>/stamp/", stamps_views.ask, name="stamp-ask"),
    path("stamps/<int:pk>/", stamps_views.stamp, name="stamp"),
    path("stamps/<int:pk>/panels/", stamps_views.panels, name="stamp-panels"),
    path("stamps/<int:pk>/propose/", stamps_views.propose, name="stamp-propose"),
    path("stamps/<int:pk>/approve/", stamps_views.approve, name="stamp-approve"),
    path("stamps/<int:pk>/take-back/", stamps_views.take_back, name="stamp-take-back"),
    path("migrations/<int:pk>/", databases_views.migration, name="migration"),
    path("migrations/<int:pk>/panels/", databases_views.migration_panels, name="migration-panels"),
    path("migrations/<int:pk>/log/", databases_views.migration_log, name="migration-log"),
    path("migrations/<int:pk>/cancel/", databases_views.cancel, name="migration-cancel"),
    path("migrations/<int:pk>/retry/", databases_views.retry, name="migration-retry"),
    path("rehearsals/<int:pk>/", rehearsals_views.rehearsal, name="rehearsal"),
    path("rehearsals/<int:pk>/panels/", rehearsals_views.panels, name="rehearsal-panels"),
    path("rehearsals/<int:pk>/cancel/", rehearsals_views.cancel, name="rehearsal-cancel"),
    path("rehearsals/<int:pk>/again/", rehearsals_views.again, name="rehearsal-again"),
]
