"""All addresses of the portal."""

from django.contrib import admin
from django.urls import path

from portal import webhooks

urlpatterns = [
    path("admin/", admin.site.urls),
    path("webhooks/github/", webhooks.receive_github),
    path("webhooks/railway/<str:secret>/", webhooks.receive_railway),
]
