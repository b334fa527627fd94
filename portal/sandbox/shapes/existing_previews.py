"""Environments of pull requests that others than the portal make."""

from typing import TYPE_CHECKING

from portal.sandbox.shapes import Shape

if TYPE_CHECKING:
    from portal.sandbox.railway import RailwayStandIn

BY_RAILWAY, BY_ACTION = 901, 902  # pull requests that are no longer open


def _arrange(railway: "RailwayStandIn") -> None:
    """Railway makes environments itself, has one, and a team's GitHub Action made another."""
    railway.set_pr_environments(True)
    railway.pull_opened(BY_RAILWAY, "Search", "staging", "staging")
    railway.made_by_action(f"pr-{BY_ACTION}", "staging")


SHAPE = Shape(
    "Railway makes an environment for each pull request itself, and a GitHub Action of the team"
    " made one called pr-N: both are shown and left alone until a person adopts them.",
    settings={"previews": True},
    railway=(_arrange,),
)
