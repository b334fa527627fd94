"""main takes signed commits only."""

from typing import TYPE_CHECKING

from portal.sandbox.shapes import Shape

if TYPE_CHECKING:
    from portal.sandbox.github import GitHubStandIn


def arrange(hub: "GitHubStandIn") -> None:
    hub.add_ruleset({"type": "required_signatures"}, name="signatures")
    with hub.change():
        hub.state["signed"] = "all"


SHAPE = Shape("main takes signed commits only, and all of them are.", github=(arrange,))
