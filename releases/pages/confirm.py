"""The question before an action that reaches production: what will happen, and what follows.

Computes plain values from the facts, without queries.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from environments.databases.tables_at_risk import NEEDS_BACKUP
from environments.models import Runner
from releases.gates import fault_of
from releases.gates.context import Facts
from releases.models.promotion import PromotionStep, StepName
from releases.pages.migrations import DatabasePanel
from releases.promotion.actions import stops_of

SKIPPED = {
    StepName.DEPLOY: "Services that did not deploy keep their old commit, beside new ones.",
    StepName.MIGRATE: "Production's database stays as it is: code that needs the new schema fails.",
    StepName.SMOKE: "Nobody checks that production answers.",
    StepName.SYNC_STAGING: "staging stays behind main; sync it before the next release.",
    StepName.BACK_MERGE: "staging lacks this hotfix; the next release would take it back.",
}


@dataclass(frozen=True)
class Confirmation:
    """What a promotion will do and who stands for it."""

    steps: tuple[str, ...]
    services: tuple[str, ...]
    migrations: tuple[str, ...]
    risks: tuple[str, ...]
    approved_by: tuple[str, ...]


def confirmation(facts: Facts, panels: Sequence[DatabasePanel], content: str) -> Confirmation:
    """Return what the question before a promotion lists.

    `content`: the digest that an approval must be of.
    """
    databases = [database.database for database in facts.databases]
    ahead = stops_of(facts.release, databases)
    rows = [(panel, row) for panel in panels for row in panel.rows]
    return Confirmation(
        steps=tuple(
            f"{name.label} {database.called if database else ''}".rstrip()
            for name, database in ahead
        ),
        services=tuple(live.service for live in facts.in_production if live.at_commits),
        migrations=tuple(
            f"{row.file['id']} {row.file.get('message', '')} {panel.called}".rstrip()
            for panel, row in rows
        ),
        risks=tuple(
            f"{row.file['id']}: {risk.sentence}"
            + (f" (accepted by {row.accepted.who})" if row.accepted else "")
            for _panel, row in rows
            for state, risk in row.risks
            if state != "closed"
        )
        + tuple(_without_backup(facts, panels)),
        approved_by=tuple(
            str(approval.user)
            for approval in facts.approvals
            if not fault_of(approval, facts.release, content)
        ),
    )


def _without_backup(facts: Facts, panels: Sequence[DatabasePanel]) -> Iterator[str]:
    """Yield where Railway migrates by itself, the portal sees it too late for a backup."""
    verified = {
        database.called for database in facts.databases if database.database.runner == Runner.VERIFY
    }
    for panel in panels:
        codes = {risk.code for row in panel.rows for _state, risk in row.risks}
        if panel.called in verified and codes & NEEDS_BACKUP:
            where = f"production's database {panel.called}".rstrip()
            yield f"Railway migrates {where} itself: no backup is taken. Take one there first."


@dataclass(frozen=True)
class Ask:
    """A button that asks first: its dialog says what follows and takes a reason."""

    name: str
    verb: str
    opener: str
    title: str
    consequence: str

    @property
    def label(self) -> str:
        """The name of the field for the reason."""
        return f"Reason to {self.opener[0].lower()}{self.opener[1:]}"


def asks(facts: Facts, stopped: PromotionStep | None) -> dict[str, Ask]:
    """Return the questions of the page by the part that shows them."""
    skipped = SKIPPED.get(StepName(stopped.name), "") if stopped else ""
    back = "Nobody checks that this part of the rollback has happened."
    kept = "Services that went back stay back; the others keep what they serve."
    return {
        "abandon": Ask(
            "abandon", "abandon", "Abandon release", "Abandon this release?", _abandoning(facts)
        ),
        "skip": Ask("skip", "skip-step", "Skip step", "Skip this step?", skipped),
        "cancel": Ask(
            "stop",
            "abandon-promotion",
            "Cancel promotion",
            "Cancel the promotion?",
            _canceling(facts),
        ),
        "skip_rollback": Ask(
            "skip-rollback", "skip-rollback", "Skip step", "Skip this step?", back
        ),
        "cancel_rollback": Ask(
            "abandon-rollback", "abandon-rollback", "Cancel rollback", "Cancel the rollback?", kept
        ),
        "rollback": Ask(
            "rollback",
            "request-rollback",
            "Request rollback",
            "Roll production back?",
            _rolling_back(facts),
        ),
    }


def _canceling(facts: Facts) -> str:
    project = facts.project
    if not facts.release.merge_commit:
        return "Nothing has reached production. The release is prepared again."
    return (
        f"{project.production_branch} keeps the merge, and production stays as it is now, which"
        " may be a mix. The release is closed; nothing is taken back."
    )


def _abandoning(facts: Facts) -> str:
    return (
        f"The release is closed for good, with its approvals and checklist. Nothing changes in"
        f" production or on {facts.project.staging_branch}; a new release can be created."
    )


def _rolling_back(facts: Facts) -> str:
    project = facts.project
    return (
        "Each service goes back to its earlier deployment, with that deployment's variables."
        f" {project.production_branch} and {project.staging_branch} stay as they are: the next push"
        " ships this release again unless it is reverted or corrected first."
    )
