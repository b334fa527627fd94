"""The repository was renamed."""

from typing import TYPE_CHECKING

from portal.sandbox.shapes import Shape

if TYPE_CHECKING:
    from portal.sandbox.github import GitHubStandIn


def arrange(hub: "GitHubStandIn") -> None:
    hub.rename("inspector-2")


SHAPE = Shape(
    "The repository was renamed: what is read is still read, and nothing is written until the new name is set.",
    refused="GitHub calls the repository acme/inspector-2 now",
    github=(arrange,),
)
