"""Pull requests in the admin: to be looked at."""

from django.contrib import admin

from portal.ui.model_admin import ReadOnly
from releases.models.pull_requests import PullRequest


@admin.register(PullRequest)
class PullRequestAdmin(ReadOnly):
    list_display = ("number", "title", "project", "state", "base", "author", "updated_at")
    list_filter = ("project", "state", "base")
    search_fields = ("title", "number")
