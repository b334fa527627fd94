"""The repository was renamed on GitHub before its first release."""

from typing import TYPE_CHECKING

from portal.sandbox.shapes import Shape

if TYPE_CHECKING:
    from portal.sandbox.github import GitHubStandIn


def arrange(hub: "GitHubStandIn") -> None:
    hub.rename("signals")


SHAPE = Shape(
    "The repository was renamed on GitHub: it is read under its new name, and refused until the"
    " project takes that name over by one button.",
    refused="is now called acme/signals",
    github=(arrange,),
)
