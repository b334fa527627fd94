"""The few questions the stand-in asks of the bare repository that the GitHub stand-in serves."""

import subprocess
from functools import lru_cache
from pathlib import Path


def _git(repository: Path, *arguments: str) -> str | None:
    """Return standard output, or None when git says no."""
    done = subprocess.run(
        ["git", "-C", str(repository), *arguments], capture_output=True, text=True, errors="replace"
    )
    return done.stdout if done.returncode == 0 else None


def commit(repository: Path, ref: str) -> str | None:
    """Return the full hash of the commit that `ref` names, if there is one."""
    sha = _git(
        repository, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}"
    )
    return sha.strip() if sha else None


@lru_cache(1000)
def _said(repository: Path, sha: str) -> str:
    """Return author and message of a commit; raise `LookupError`, which is not remembered, where
    there is none yet.
    """
    if shown := _git(repository, "log", "-1", "--format=%an%x00%B", sha, "--"):
        return shown
    raise LookupError(sha)


def describe(repository: Path, sha: str) -> dict[str, str | None]:
    """Return `commitHash`, `commitMessage` and `commitAuthor`, the keys of a deployment's
    `meta`.
    """
    try:
        author, _, message = _said(repository, sha).partition("\0")
    except LookupError:
        author = message = ""
    return {
        "commitHash": sha,
        "commitMessage": message.strip() or None,
        "commitAuthor": author or None,
    }


def changed_paths(repository: Path, before: str, after: str) -> list[str] | None:
    """Return paths that differ between two commits; None when that cannot be told (a new
    branch).
    """
    shown = (
        _git(repository, "diff", "--name-only", "-z", before, after, "--")
        if before.strip("0")
        else None
    )
    return None if shown is None else [path for path in shown.split("\0") if path]


def has(repository: Path, commit: str, path: str) -> bool:
    """Return whether the commit holds something at `path`."""
    return (
        _git(repository, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{commit}:{path}")
        is not None
    )


def show(repository: Path, commit: str, path: str) -> str | None:
    """Return the text of a file at a commit; None where there is none."""
    return _shown(repository, commit, path) or None


@lru_cache(1000)
def _shown(repository: Path, commit: str, path: str) -> str:
    return _git(repository, "show", "--end-of-options", f"{commit}:{path}") or ""
