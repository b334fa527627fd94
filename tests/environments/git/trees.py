"""Readings of Railway, for what looks at nothing else."""

from environments.railway import Deployment, Environment, ProjectTree, ServiceInstance


def one_deployment(status: str) -> ProjectTree:
    """A project whose only deployment is in this state."""
    nothing = dict.fromkeys(
        ("created_at", "status_updated_at", "commit", "branch", "repo", "reason")
    )
    latest = Deployment(
        id="d1", status=status, stopped=False, url="", can_rollback=False, instances=(), **nothing
    )
    instance = ServiceInstance(
        "i", "s", "backend", "e", latest_deployment=latest, active_deployments=(latest,)
    )
    environment = Environment("e", "staging", True, False, None, None, instances=(instance,))
    return ProjectTree("p", "inspector", None, (), (environment,), True, ())
