"""A required check is bound to an App."""

from typing import TYPE_CHECKING

from portal.sandbox.shapes import Shape

if TYPE_CHECKING:
    from portal.sandbox.github import GitHubStandIn


def arrange(hub: "GitHubStandIn") -> None:
    hub.add_ruleset(
        {
            "type": "required_status_checks",
            "parameters": {
                "strict_required_status_checks_policy": True,
                "required_status_checks": [{"context": "python-ci", "integration_id": 15368}],
            },
        },
        name="checks",
    )


SHAPE = Shape(
    "a branch must be up to date with main, and its check must come from GitHub Actions.",
    github=(arrange,),
)
