"""Addresses of GitHub's own pages; "" where what they are about is not known."""

from urllib.parse import quote

from django.conf import settings


def commit_page(repository: str, commit: str) -> str:
    """Return the address of a commit."""
    return _page(repository, f"commit/{quote(commit, safe='')}") if commit else ""


def pull_page(repository: str, number: int | None) -> str:
    """Return the address of a pull request."""
    return _page(repository, f"pull/{number}") if number else ""


def compare_page(repository: str, base: str, head: str) -> str:
    """Return the address that compares two commits."""
    ends = f"{quote(base, safe='')}...{quote(head, safe='')}"
    return _page(repository, f"compare/{ends}") if base and head else ""


def file_page(repository: str, commit: str, path: str, line: int = 0) -> str:
    """Return the address of one file at a commit, at `line` unless that is 0."""
    at = f"#L{line}" if line else ""
    return _page(repository, f"blob/{commit}/{quote(path, errors='replace')}{at}")


def _page(repository: str, rest: str) -> str:
    if not (repository and settings.GITHUB_GIT_URL):
        return ""
    return f"{settings.GITHUB_GIT_URL}/{quote(repository)}/{rest}"
