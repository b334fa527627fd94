"""Addresses of vendors' own pages that every page of the portal may name."""

from urllib.parse import quote

from django.conf import settings


def commit_page(repository: str, commit: str) -> str:
    """Return the address of a commit on GitHub; "" where one of the two is not known."""
    if not (repository and commit and settings.GITHUB_GIT_URL):
        return ""
    return f"{settings.GITHUB_GIT_URL}/{quote(repository)}/commit/{quote(commit, safe='')}"


def pull_page(repository: str, number: int | None) -> str:
    """Return the address of a pull request on GitHub; "" where there is none."""
    if not (repository and number and settings.GITHUB_GIT_URL):
        return ""
    return f"{settings.GITHUB_GIT_URL}/{quote(repository)}/pull/{number}"
