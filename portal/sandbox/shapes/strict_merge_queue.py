"""main has a merge queue."""

from typing import TYPE_CHECKING

from portal.sandbox.shapes import Shape

if TYPE_CHECKING:
    from portal.sandbox.github import GitHubStandIn


def arrange(hub: "GitHubStandIn") -> None:
    hub.add_ruleset({"type": "merge_queue"}, name="queue")


SHAPE = Shape(
    "main takes changes only from a merge queue, which merges other commits than were promised:"
    " refused.",
    refused="merge queue",
    github=(arrange,),
)
