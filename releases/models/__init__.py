"""What is shipped: pull requests and checks as seen on GitHub, releases, their checklists and
promotions.
"""

from releases.models.approvals import Approval, RiskAcceptance
from releases.models.checklist import (
    ChecklistItem,
    ChecklistTemplate,
    ChecklistTemplateItem,
    ItemText,
    Phase,
)
from releases.models.freezes import Freeze
from releases.models.notifications import Channel, Notice, NotificationFeed, Transport
from releases.models.promotion import Promotion, PromotionStep, StepName
from releases.models.pull_requests import BranchScan, GitHubSync, PullReading, PullRequest
from releases.models.reconciler import KeptVariables, ReleaseReconciler
from releases.models.releases import IllegalMove, Release, ReleaseKind, ReleaseStatus
from releases.models.rollback import (
    Downgrade,
    Rollback,
    RollbackApproval,
    RollbackAssessment,
    RollbackStep,
    RollbackStepName,
)
from releases.models.staging_smoke import StagingSmoke
from releases.models.steps import StepStatus
from releases.models.task_logs import TaskLog
