"""What Railway's words for a deployment and its containers mean to those who depend on it. Pure."""

from collections.abc import Sequence

PASS, PENDING, FAIL = "pass", "pending", "fail"

# Railway's words for a deployment (DeploymentStatus in its schema): it serves, is on its way, came
# to nothing. What
# sleeps wakes on a request; a word that is new to us serves nothing.
SERVING = frozenset({"SUCCESS", "SLEEPING"})
UNDER_WAY = frozenset({"INITIALIZING", "QUEUED", "WAITING", "BUILDING", "DEPLOYING", "REMOVING"})
BROKEN = frozenset({"FAILED", "CRASHED", "SKIPPED"})
ENDED_BADLY = BROKEN | {"REMOVED"}
# And for its containers (DeploymentInstanceStatus).
COMING_UP = frozenset({"CREATED", "INITIALIZING", "RESTARTING"})
DOWN = frozenset({"CRASHED", "EXITED", "REMOVED", "REMOVING", "SKIPPED", "STOPPED"})


def running(
    status: str,
    *,
    stopped: bool,
    containers: Sequence[str],
    scheduled: bool = False,
    what: str = "",
) -> tuple[str, str]:
    """Return state and words for one deployment, of `what` (“at 1a2b3c4”); `scheduled`: it runs now
    and then, and ends.

    `stopped` counts beside SUCCESS only. Without `containers` the status alone speaks.
    """
    what = f" {what}" if what else ""
    if status in UNDER_WAY:
        return PENDING, f"is deploying{what} ({status.lower()})"
    if status == "NEEDS_APPROVAL":
        return PENDING, f"waits for an approval on Railway to be deployed{what}"
    if status not in SERVING:
        return FAIL, f"is not live{what} ({status.lower().replace('_', ' ') or 'status unknown'})"
    if status == "SUCCESS" and stopped and not scheduled:
        return FAIL, f"is stopped{what}"
    return _contained(set(containers), what, asleep=status == "SLEEPING", scheduled=scheduled)


def _contained(states: set[str], what: str, *, asleep: bool, scheduled: bool) -> tuple[str, str]:
    """Return a deployment that Railway calls a success, judged by its containers."""
    if not states or "RUNNING" in states:
        return PASS, f"live{what}"
    if states & COMING_UP:
        return PENDING, f"is coming up{what} ({_listed(states)})"
    if states - DOWN:
        return PENDING, f"is in a state that the portal does not know{what} ({_listed(states)})"
    if scheduled and states == {"CRASHED"}:
        return FAIL, f"crashed in its last run{what}"
    if scheduled or (asleep and states != {"CRASHED"}):
        return PASS, f"live{what}"
    return FAIL, f"has no running container{what} ({_listed(states)})"


def _listed(states: set[str]) -> str:
    return ", ".join(sorted(state.lower() for state in states))
