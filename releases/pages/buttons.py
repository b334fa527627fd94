"""The buttons of the release page and of the board: what each does, what it takes, and where the
person lands.
"""

from collections.abc import Callable
from dataclasses import dataclass

from django import forms

from portal.ui.forms import SeenCandidate
from releases.approvals import actions as approvals
from releases.approvals.forms import AcceptRiskForm, ApproveForm, ConfirmCarriedForm
from releases.checklist import actions as checklist
from releases.checklist.forms import TickSeveralForm
from releases.freezes import actions as freezes
from releases.freezes.forms import FreezeForm
from releases.lifecycle import actions as lifecycle
from releases.lifecycle.forms import AbandonForm, CutForm, HotfixForm, NotesForm
from releases.project_settings import smoke_tests, watch_only
from releases.project_settings.forms import SmokeTestForm
from releases.promotion import actions as promotion
from releases.promotion.forms import AbandonPromotionForm, SkipStepForm
from releases.rollback import actions as rollback
from releases.rollback import downgrade_actions
from releases.rollback.forms import (
    AbandonRollbackForm,
    ApproveRollbackForm,
    ContentForm,
    RequestDowngradeForm,
    RequestRollbackForm,
)


@dataclass(frozen=True)
class Button:
    """One button.

    `said` is shown when it went well; `anchor` is the part of the page to go back to.
    """

    act: Callable[..., object]
    said: str
    anchor: str = ""
    form: type[forms.Form] = forms.Form


RELEASE_BUTTONS = {
    "promote": Button(promotion.promote, "The promotion has started.", form=SeenCandidate),
    "migrate-staging": Button(
        lifecycle.migrate_staging,
        "The migration of staging is queued.",
        "migrations",
        SeenCandidate,
    ),
    "tick-items": Button(
        checklist.tick_several, "The items are ticked.", "before", TickSeveralForm
    ),
    "approve": Button(approvals.approve, "Your approval is recorded.", "approvals", ApproveForm),
    "accept-risk": Button(
        approvals.accept_risk, "The risk is accepted.", "migrations", AcceptRiskForm
    ),
    "confirm-carried": Button(
        approvals.confirm_carried, "That is confirmed.", "ships", ConfirmCarriedForm
    ),
    "notes": Button(lifecycle.write_notes, "The notes are saved.", "notes", NotesForm),
    "abandon": Button(lifecycle.abandon, "The release is abandoned.", form=AbandonForm),
    "retry-step": Button(promotion.retry_step, "The step is being retried."),
    "deploy-commit": Button(
        promotion.deploy_commit, "The commit is being deployed.", form=SeenCandidate
    ),
    "skip-step": Button(promotion.skip_step, "The step is skipped.", form=SkipStepForm),
    "abandon-promotion": Button(
        promotion.abandon_promotion, "The promotion is canceled.", form=AbandonPromotionForm
    ),
    "request-rollback": Button(
        rollback.request_rollback,
        "The rollback is requested; it needs a second approver.",
        "rollback",
        RequestRollbackForm,
    ),
    "approve-rollback": Button(
        rollback.approve_rollback, "Your approval is recorded.", "rollback", ApproveRollbackForm
    ),
    "retry-rollback": Button(rollback.retry_rollback, "The step is being retried.", "rollback"),
    "skip-rollback": Button(
        rollback.skip_rollback, "The step is skipped.", "rollback", SkipStepForm
    ),
    "abandon-rollback": Button(
        rollback.abandon_rollback, "The rollback is canceled.", form=AbandonRollbackForm
    ),
    "open-revert": Button(
        rollback.open_revert, "The revert is being opened on GitHub.", "rolled-back"
    ),
    "rehearse-downgrade": Button(
        downgrade_actions.rehearse_downgrade, "The downgrade is being rehearsed.", "downgrade"
    ),
    "request-downgrade": Button(
        downgrade_actions.request_downgrade,
        "The downgrade is requested; it needs a second approver.",
        "way-back",
        RequestDowngradeForm,
    ),
    "approve-downgrade": Button(
        downgrade_actions.approve_downgrade, "The downgrade is queued.", "downgrade", ContentForm
    ),
    "withdraw-downgrade": Button(
        downgrade_actions.withdraw_downgrade, "The downgrade is withdrawn.", "downgrade"
    ),
}
PROJECT_BUTTONS = {
    "cut": Button(
        lifecycle.cut, "The release is created. Loading commits and checks…", form=CutForm
    ),
    "cut-hotfix": Button(
        lifecycle.cut_hotfix, "The hotfix is created. Loading commits and checks…", form=HotfixForm
    ),
    "freeze": Button(freezes.freeze, "Promotions are frozen.", form=FreezeForm),
    "add-smoke-test": Button(smoke_tests.add, "The smoke test is added.", form=SmokeTestForm),
    "watch-only": Button(watch_only.watch_only, "The project is only watched."),
    "start-sending": Button(
        watch_only.start_sending, "Saved; where it takes two people, it waits under Changes."
    ),
    "unfreeze": Button(freezes.lift_freeze, "Promotions are allowed again."),
}
