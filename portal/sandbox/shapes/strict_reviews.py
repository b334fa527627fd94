"""A review of every pull request is demanded, and was not given."""

from typing import TYPE_CHECKING

from portal.sandbox.shapes import Shape

if TYPE_CHECKING:
    from portal.sandbox.github import GitHubStandIn


def arrange(hub: "GitHubStandIn") -> None:
    hub.add_ruleset(
        {
            "type": "pull_request",
            "parameters": {
                "required_approving_review_count": 1,
                "required_review_thread_resolution": True,
                "dismiss_stale_reviews_on_push": True,
                "require_code_owner_review": False,
                "require_last_push_approval": True,
            },
        },
        name="reviews",
    )


SHAPE = Shape(
    "main demands a review that nobody has given yet: refused until it is given on GitHub.",
    refused="needs 1 approval",
    github=(arrange,),
)
