"""The bare mirror clone of each project's repository, under VAR_DIR."""

from django.conf import settings

from environments.git import Mirror
from environments.models import Project
from portal.credentials import github_token


def mirror_of(project: Project) -> Mirror:
    """The project's mirror; `fetch` it before relying on it. Raises `ApiError` for an unusable token."""
    url = project.git_url or f"{settings.GITHUB_GIT_URL}/{project.repository}.git"
    return Mirror(settings.VAR_DIR / "mirrors" / f"{project.pk}.git", url, token=github_token(settings.GITHUB_API_URL))
