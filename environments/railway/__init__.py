"""The Railway client."""

from environments.railway.answers import (
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
from environments.railway.client import Railway, TokenReport, pre_deploy_patch

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
