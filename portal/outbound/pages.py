"""Addresses of vendors' own pages that every page of the portal may name."""

from urllib.parse import quote

from django.conf import settings


def commit_page(repository: str, commit: str) -> str:
    """Return the address of a commit on GitHub; "" where one of the two is not known."""
    if not (repository and commit and settings.GITHUB_GIT_URL):
        return ""
    return f"{settings.GITHUB_GIT_URL}/{quote(repository)}/commit/{quote(commit, safe='')}"
