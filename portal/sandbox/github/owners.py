"""CODEOWNERS: who must approve what a pull request changes."""

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from .git_objects import GitError

if TYPE_CHECKING:
    from .standin import GitHubStandIn

PLACES = (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS")


def owners_of(hub: "GitHubStandIn", pull: dict[str, Any]) -> set[tuple[str, ...]]:
    """Return the groups of owners of whom one each must approve: those of every changed file, by
    the base's CODEOWNERS.
    """
    rules = _rules(hub, pull["base_sha"])
    if not rules:
        return set()
    fork = hub.git.merge_base(pull["base_sha"], pull["head_sha"]) or pull["base_sha"]
    paths = [change.path for change in hub.git.changes(fork, pull["head_sha"])]
    return {owners for path in paths if (owners := _owners(rules, path))}


def _rules(hub: "GitHubStandIn", commit: str) -> list[tuple[str, tuple[str, ...]]]:
    for place in PLACES:
        try:
            lines = hub.git.text("cat-file", "blob", f"{commit}:{place}").splitlines()
        except GitError:
            continue
        words = [line.split("#")[0].split() for line in lines]
        return [
            (word[0], tuple(name.removeprefix("@") for name in word[1:])) for word in words if word
        ]
    return []


def _owners(rules: list[tuple[str, tuple[str, ...]]], path: str) -> tuple[str, ...]:
    """Decide by the last pattern that fits, as on GitHub."""
    fits = [owners for pattern, owners in rules if _fits(pattern, path)]
    return fits[-1] if fits else ()


def _fits(pattern: str, path: str) -> bool:
    anchored = pattern.strip("/")
    if pattern.endswith("/"):
        return path.startswith(f"{anchored}/") or (
            not pattern.startswith("/") and f"/{anchored}/" in path
        )
    return fnmatchcase(path, anchored) or (
        not pattern.startswith("/") and fnmatchcase(path.split("/")[-1], anchored)
    )
