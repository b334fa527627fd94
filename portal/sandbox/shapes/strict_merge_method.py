"""Squash is the only way to merge."""

from typing import TYPE_CHECKING

from portal.sandbox.shapes import Shape

if TYPE_CHECKING:
    from portal.sandbox.github import GitHubStandIn


def arrange(hub: "GitHubStandIn") -> None:
    hub.set_settings(allow_merge_commit=False, allow_rebase_merge=False)


SHAPE = Shape(
    "The repository allows squash merges only, after which staging could not follow main: refused.",
    refused="GitHub does not allow a merge commit",
    github=(arrange,),
)
