"""main has a merge queue."""

from typing import TYPE_CHECKING

from portal.sandbox.shapes import Shape

if TYPE_CHECKING:
    from portal.sandbox.github import GitHubStandIn


def arrange(hub: "GitHubStandIn") -> None:
    hub.add_ruleset({"type": "merge_queue"}, name="queue")


SHAPE = Shape(
    "main requires a merge queue, which merges commits other than the candidate: refused.",
    refused="merge queue",
    github=(arrange,),
)
