"""A private repository on a plan of GitHub's that has no branch protection."""

from typing import TYPE_CHECKING

from portal.sandbox.shapes import Shape

if TYPE_CHECKING:
    from portal.sandbox.github import GitHubStandIn


def arrange(hub: "GitHubStandIn") -> None:
    with hub.change():
        hub.state["plan"], hub.state["private"] = "free", True
        hub.state["protections"], hub.state["rulesets"] = {}, []


SHAPE = Shape(
    "A private repository on GitHub's free plan has no branch protection: it ships by the project's"
    " own rules, and a finding says that nobody is kept from merging around the portal.",
    github=(arrange,),
)
