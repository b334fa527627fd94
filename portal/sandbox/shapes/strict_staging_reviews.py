"""Staging, too, takes changes only by reviewed pull requests, and lets nobody past."""

from typing import TYPE_CHECKING

from portal.sandbox.shapes import Shape

if TYPE_CHECKING:
    from portal.sandbox.github import GitHubStandIn


def arrange(hub: "GitHubStandIn") -> None:
    hub.protect("staging", pull_request=True, approvals=1)


SHAPE = Shape(
    "staging demands reviewed pull requests also of the portal, which could not fast-forward it"
    " after the merge: refused until the portal may bypass that.",
    refused="cannot fast-forward it to main",
    github=(arrange,),
)
