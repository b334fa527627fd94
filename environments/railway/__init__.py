"""The Railway client."""

from environments.railway.client import Railway
from environments.railway.objects import (
    Deployment,
    Domain,
    Environment,
    LogLine,
    ProjectTree,
    Rule,
    Service,
    ServiceInstance,
    Trigger,
)
from environments.railway.staged_changes import pre_deploy_patch
from environments.railway.token import TokenReport

__all__ = [
    "Deployment",
    "Domain",
    "Environment",
    "LogLine",
    "ProjectTree",
    "Railway",
    "Rule",
    "Service",
    "ServiceInstance",
    "TokenReport",
    "Trigger",
    "pre_deploy_patch",
]
