"""GitHub's own *Revert*: a pull request that takes back what a merged one brought."""

from environments.github.transport import SERVICE, Transport
from portal.outbound.http import ApiError
from portal.outbound.parsing import Malformed, get_path, quoted, text

DOCUMENT = """mutation Revert($input: RevertPullRequestInput!) {
  revertPullRequest(input: $input) {
    revertPullRequest { number }
  }
}
"""


def branch_of(number: int) -> str:
    """Return how the names of the branches begin that GitHub makes to revert this pull request."""
    return f"revert-{number:d}-"


def revert(transport: Transport, path: str, number: int, body: str) -> int:
    """Return the number of the pull request that reverts #`number`.

    Sent once; raises `ApiError`, also where git cannot take the changes back by itself.
    """
    doing = f"revert pull request #{number:d}"
    node = text(get_path(transport.get(doing, f"{path}/pulls/{number:d}"), "node_id"), 100)
    if not node:
        raise Malformed("the pull request has no node id")
    asked = {"pullRequestId": node, "body": body}
    answer = transport.mutate(doing, DOCUMENT, {"input": asked})
    if errors := answer.get("errors"):
        said = quoted(get_path(errors[0], "message"), 200)
        why = f"GitHub cannot {doing}: {said or 'it does not say why'}."
        instead = "Revert it by hand in a pull request of your own."
        raise ApiError(SERVICE, "refused", f"{why} {instead}", detail=said)
    made = get_path(answer, "data", "revertPullRequest", "revertPullRequest", "number")
    if not isinstance(made, int):
        raise Malformed("the revert pull request has no number")
    return made
