"""Merged branches are deleted."""

from typing import TYPE_CHECKING

from portal.sandbox.shapes import Shape

if TYPE_CHECKING:
    from portal.sandbox.github import GitHubStandIn


def arrange(hub: "GitHubStandIn") -> None:
    hub.set_settings(delete_branch_on_merge=True)


SHAPE = Shape(
    "GitHub deletes merged branches, and staging with them: refused until that is switched off.",
    refused="GitHub deletes staging",
    github=(arrange,),
)
