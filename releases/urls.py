"""Addresses of the board and of releases."""

from django.urls import path

from releases.notifications import views as notifications
from releases.pages import pull_requests, search, views
from releases.practice import views as practice_views
from releases.project_settings import views as project_settings
from releases.project_settings import watch_only_views
from releases.runbook import views as runbook_views
from releases.setup import credential_views
from releases.setup import github_app_views as github_app
from releases.setup import views as setup_views
from releases.task_logs import views as task_logs_views
from releases.terminal import views as terminal

app_name = "releases"
urlpatterns = [
    path("", views.board, name="board"),
    path("board/panels/", views.board_panels, name="board-panels"),
    path("pulls/", pull_requests.index, name="pulls"),
    path("search/", search.search, name="search"),
    path("releases/", views.releases, name="releases"),
    path("releases/<int:pk>/", views.release, name="release"),
    path("releases/<int:pk>/panels/", views.panels_, name="release-panels"),
    path("releases/<int:pk>/<slug:verb>/", views.do, name="release-do"),
    path("releases/items/<int:pk>/<slug:verb>/", views.tick, name="item-do"),
    path("task-logs/<slug:kind>/<int:pk>/", task_logs_views.task_log, name="task-log"),
    path("task-logs/<slug:kind>/<int:pk>/file/", task_logs_views.download, name="task-log-file"),
    path("practice/", practice_views.practice, name="practice"),
    path("practice/begin/", practice_views.begin_day, name="practice-day"),
    path("runbook/", runbook_views.runbook, name="runbook"),
    path("terminal/whoami/", terminal.whoami, name="terminal-whoami"),
    path("terminal/sync-staging/", terminal.sync_staging, name="terminal-sync"),
    path("terminal/sync-staging/<int:pk>/", terminal.repair, name="terminal-repair"),
    path("terminal/task-log/", terminal.task_log, name="terminal-task-log"),
    path("notifications/", notifications.notifications, name="notifications"),
    path("notifications/<int:pk>/<slug:verb>/", notifications.channel_do, name="channel-do"),
    path("settings/", project_settings.settings, name="settings"),
    path("settings/<slug:slug>/<slug:key>/", project_settings.save, name="settings-save"),
    path("projects/<slug:slug>/checklist/", views.checklist_of, name="project-checklist"),
    path("new-project/", setup_views.new_project, name="new-project"),
    path("new-project/credential/", setup_views.paste, name="credential-paste"),
    path("new-project/github-app/", github_app.github_app, name="github-app"),
    path("new-project/github-app/made/", github_app.made, name="github-app-made"),
    path("new-project/github-app/installed/", github_app.installed, name="github-app-installed"),
    path("credentials/", credential_views.project_credentials, name="credentials"),
    path("credentials/remove/", credential_views.remove_own, name="credential-remove"),
    path("new-project/choose/", setup_views.choose, name="new-project-choose"),
    path("new-project/<int:pk>/", setup_views.proposal, name="proposal"),
    path("projects/<slug:slug>/go-live/list/", setup_views.go_live, name="go-live"),
    path(
        "projects/<slug:slug>/watch-only/would/",
        watch_only_views.watch_only_page,
        name="watch-only",
    ),
    path("projects/<slug:slug>/<slug:verb>/", views.do_project, name="project-do"),
]
