"""GitHub, Railway and git's token for one project."""

from functools import partial

from django.conf import settings

from environments.clients.watch_only import withhold
from environments.github import GitHub
from environments.models import Project
from environments.railway import Railway
from portal.credentials import stored
from portal.outbound.credentials import github_auth


def github_of(project: Project) -> GitHub:
    """Return the client of the project's repository. Raise `ApiError` for an unusable token."""
    credential = stored.github(project.slug)
    return GitHub(project.repository, token=credential, withhold=partial(withhold, project))


def railway_of(project: Project) -> Railway:
    """Return the client of the project's Railway. Raise `ApiError` for an unusable token."""
    token, kind = stored.railway(project.slug) or (None, None)
    return Railway(token=token, kind=kind, withhold=partial(withhold, project))


def git_token_of(project: Project) -> str:
    """Return the token with which git reads the repository. Raise `ApiError`."""
    return github_auth(settings.GITHUB_API_URL, stored.github(project.slug)).token
