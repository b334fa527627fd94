"""Railway's webhooks are unsigned hints: they only make the next reading come at once."""

from collections.abc import Mapping

from portal.outbound.parsing import get_path, text
from portal.webhooks.deliveries import Mark

# Changes of deployments; Railway's spelling varies in case. Monitor and volume alerts change
# nothing mirrored.
EVENTS = tuple(
    f"Deployment.{word}"
    for word in (
        "building",
        "deploying",
        "deployed",
        "redeployed",
        "failed",
        "crashed",
        "oom_killed",
        "slept",
        "resumed",
        "restarted",
        "removed",
        "waiting",
        "needs_approval",
        "queued",
    )
)


_OURS = "project_id IN (SELECT id FROM environments_project WHERE railway_project_id = %s)"


def on_railway(event: str, payload: Mapping[str, object]) -> Mark | None:
    """Return the named project; None where none is named. Old payloads name it at the top level."""
    name = text(
        get_path(payload, "resource", "project", "id") or get_path(payload, "project", "id"), 64
    )
    return Mark("environments_railwaysync", _OURS, (name,)) if name else None
