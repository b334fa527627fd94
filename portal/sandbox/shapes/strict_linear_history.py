"""main demands a linear history."""

from typing import TYPE_CHECKING

from portal.sandbox.shapes import Shape

if TYPE_CHECKING:
    from portal.sandbox.github import GitHubStandIn


def arrange(hub: "GitHubStandIn") -> None:
    hub.add_ruleset({"type": "required_linear_history"}, name="linear")


SHAPE = Shape(
    "main demands a linear history, which a merge commit breaks: refused.",
    refused="linear history",
    github=(arrange,),
)
