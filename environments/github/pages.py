"""Addresses of GitHub's own pages."""

from urllib.parse import quote

from django.conf import settings

from portal.outbound.pages import commit_page, pull_page

__all__ = ["commit_page", "compare_page", "pull_page"]


def compare_page(repository: str, base: str, head: str) -> str:
    """Return the address that compares two commits; "" where one of them is not known."""
    ends = f"{quote(base, safe='')}...{quote(head, safe='')}"
    return _page(repository, f"compare/{ends}") if base and head else ""


def _page(repository: str, rest: str) -> str:
    return f"{settings.GITHUB_GIT_URL}/{quote(repository)}/{rest}" if repository else ""


def file_page(repository: str, commit: str, path: str, line: int = 0) -> str:
    """Return the address of one file at a commit, at `line` unless that is 0."""
    at = f"#L{line}" if line else ""
    return _page(repository, f"blob/{commit}/{quote(path, errors='replace')}{at}")
