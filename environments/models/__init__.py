"""What runs where: projects, their environments and services, deployments, database migrations, findings."""

from environments.running import BROKEN, ENDED_BADLY, SERVING, UNDER_WAY

from .access import DeployKey
from .around import DeploymentAsk, StagingReset
from .budgets import RailwayBudget
from .findings import Finding, FindingKind, Repair, RepairKind
from .migrations import MigrationPlan, MigrationRun, StagedRevision, unknown_staging
from .previews import Preview, PreviewState, PreviewVariable
from .project import (
    REPOSITORY_NAME,
    AtStart,
    Branch,
    BranchProtection,
    Deployment,
    DeployOrder,
    Environment,
    EnvironmentKind,
    Project,
    Runner,
    Service,
    ServiceInstance,
    SmokeTest,
)
from .rehearsals import VALID, Direction, Rehearsal, passed_rehearsal
from .standings import SchemaStanding, StandingState
from .syncs import ConnectionCheck, DatabaseSync, ProtectionSync, RailwaySync, VariableSync
from .variables import RuleKind, Variable, VariableChange, VariableRule

__all__ = [
    "BROKEN",
    "ENDED_BADLY",
    "REPOSITORY_NAME",
    "SERVING",
    "UNDER_WAY",
    "VALID",
    "AtStart",
    "Branch",
    "BranchProtection",
    "ConnectionCheck",
    "DatabaseSync",
    "DeployKey",
    "DeployOrder",
    "Deployment",
    "DeploymentAsk",
    "Direction",
    "Environment",
    "EnvironmentKind",
    "Finding",
    "FindingKind",
    "MigrationPlan",
    "MigrationRun",
    "Preview",
    "PreviewState",
    "PreviewVariable",
    "Project",
    "ProtectionSync",
    "RailwayBudget",
    "RailwaySync",
    "Rehearsal",
    "Repair",
    "RepairKind",
    "RuleKind",
    "Runner",
    "SchemaStanding",
    "Service",
    "ServiceInstance",
    "SmokeTest",
    "StagedRevision",
    "StagingReset",
    "StandingState",
    "Variable",
    "VariableChange",
    "VariableRule",
    "VariableSync",
    "passed_rehearsal",
    "unknown_staging",
]
