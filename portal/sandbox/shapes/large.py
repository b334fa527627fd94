"""A repository with much in it."""

from typing import TYPE_CHECKING

from portal.sandbox.shapes import Shape

if TYPE_CHECKING:
    from portal.sandbox.github import GitHubStandIn


BRANCHES, PULLS, CHECKS, INTO_MAIN = 3000, 400, 120, 60


def arrange(hub: "GitHubStandIn") -> None:
    head = hub.heads()["staging"]
    with hub.change():
        lines = [f"create refs/heads/crowd/{number:04} {head}" for number in range(BRANCHES)]
        hub.git.run("update-ref", "--stdin", stdin="\n".join(lines).encode())
    for number in range(CHECKS):
        hub.set_check(head, f"job {number:03}")


SHAPE = Shape("3,000 branches, and 120 check runs on the candidate.", github=(arrange,))
