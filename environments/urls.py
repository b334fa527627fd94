"""Addresses of environments and migration runs."""

from django.urls import path

from environments import views

urlpatterns = [
    path("environments/", views.environments, name="environments"),
    path("findings/<int:pk>/resolve/", views.resolve, name="finding-resolve"),
    path("migrations/", views.migrations, name="migrations"),
    path("migrations/<int:pk>/", views.migration, name="migration"),
    path("migrations/<int:pk>/panels/", views.migration_panels, name="migration-panels"),
    path("migrations/<int:pk>/log/", views.migration_log, name="migration-log"),
    path("migrations/<int:pk>/cancel/", views.cancel, name="migration-cancel"),
]
