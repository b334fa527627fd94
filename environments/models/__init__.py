"""What runs where: projects, their environments and services, deployments, databases, findings."""

from environments.models.branches import Branch, BranchProtection, StagingReset
from environments.models.database_status import DatabaseState, DatabaseStatus
from environments.models.databases import (
    ON_RAILWAY,
    Database,
    EnvironmentDatabase,
    Runner,
    by_place,
    databases_of,
    newest_of_place,
    place_of,
    places_of,
    with_several_databases,
)
from environments.models.deploy_keys import DeployKey
from environments.models.deployment_logs import DeploymentLog
from environments.models.environments import LONG_LIVED, Environment, EnvironmentKind, in_order
from environments.models.findings import Finding
from environments.models.migrations import (
    MigrationPlan,
    MigrationRun,
    StagedRevision,
    unknown_staging,
)
from environments.models.previews import Preview, PreviewState, PreviewVariable
from environments.models.project import REPOSITORY_NAME, DeployOrder, Project
from environments.models.project_proposals import ProjectProposal
from environments.models.rate_limits import RailwayRateLimit
from environments.models.rehearsals import VALID, Direction, Rehearsal, passed_rehearsal
from environments.models.repairs import DeploymentRequest, Repair, RepairKind
from environments.models.runbook import RunbookReading
from environments.models.services import AtStart, Deployment, Service, ServiceInstance, SmokeTest
from environments.models.stamps import Stamp, stamped_from
from environments.models.syncs import (
    ConnectionCheck,
    CredentialWatch,
    DatabaseSync,
    ProtectionSync,
    RailwaySync,
    VariableSync,
)
from environments.models.variables import RuleKind, Variable, VariableChange, VariableRule
from environments.models.watch_only import WithheldWrite
from environments.railway.deployment_states import BROKEN, ENDED_BADLY, SERVING, UNDER_WAY
