"""The steps of a manual two-environment workflow on Railway, and where each is done here.

A new step is one entry in `_STEPS`: who reads it sees the old way, the page, and what is missing.
"""

from dataclasses import dataclass

from django.urls import reverse

from releases.runbook import missing
from releases.runbook.facts import RunbookFacts
from releases.runbook.missing import Missing


@dataclass(frozen=True)
class Step:
    """One step: `by_hand` is how people do it, `here` what the portal does, `page` its address."""

    title: str
    by_hand: str
    here: str
    page: str
    page_title: str
    missing: list[str]


@dataclass(frozen=True)
class _Step:
    title: str
    by_hand: str
    here: str
    view: str
    page_title: str
    missing: Missing
    anchor: str = ""


def steps(facts: RunbookFacts) -> list[Step]:
    """Return every step in the order of a release, with what this project still lacks for it."""
    query = f"?project={facts.project.slug}"
    return [
        Step(
            step.title,
            step.by_hand,
            step.here,
            reverse(step.view) + query + (f"#{step.anchor}" if step.anchor else ""),
            step.page_title,
            step.missing(facts),
        )
        for step in _STEPS
    ]


_STEPS = (
    _Step(
        "Environments follow their branches",
        "Look in Railway's settings which branch each service deploys.",
        "The portal compares every service with its branch and repairs it on a click.",
        "environments:environments",
        "Environments",
        missing.findings("branch", "push", about="branches that services follow"),
    ),
    _Step(
        "Variables differ where they must",
        "Compare the variables of both environments by eye.",
        "Rules hold the variables apart; values are compared without being stored.",
        "environments:variables",
        "Variables",
        missing.variables,
    ),
    _Step(
        "Tokens work",
        "Run railway whoami and try again after “Unauthorized”.",
        "The portal tests each token and says what it can do and what it lacks.",
        "environments:connections",
        "Connections",
        missing.tokens,
    ),
    _Step(
        "A preview for each pull request",
        "A workflow such as preview_env.yml makes and deletes environments.",
        "The portal makes pr-N, sets its variables, reports the address and deletes it.",
        "environments:previews",
        "Previews",
        missing.previews,
    ),
    _Step(
        "Checks before a push",
        "Remember to run the build and the tests.",
        "The commands stand beside the pull requests.",
        "releases:pulls",
        "Pull requests",
        missing.commands,
    ),
    _Step(
        "CI is green",
        "Look at the pull request on GitHub.",
        "Required checks are a gate; a missing or skipped check never passes.",
        "environments:protections",
        "Protections",
        missing.checks,
    ),
    _Step(
        "Branches are protected",
        "Click through GitHub's settings and hope that they stay.",
        "The portal compares the protection with what it should be, and applies it.",
        "environments:protections",
        "Protections",
        missing.protected,
    ),
    _Step(
        "Staging is healthy",
        "Open Railway and staging's pages after each merge.",
        "A gate waits until each service serves the candidate and passes its smoke tests.",
        "releases:board",
        "Board",
        missing.healthy,
    ),
    _Step(
        "Migrate staging, then observe",
        "Run alembic upgrade head against staging, then wait.",
        "The portal plans, rehearses and runs the migrations, and counts the time.",
        "environments:migrations",
        "Migrations",
        missing.migrated,
    ),
    _Step(
        "Promotion pull request",
        "Open a pull request from staging into main and list what it brings.",
        "Create release opens it and collects commits, pull requests and migrations.",
        "releases:board",
        "Board",
        missing.release,
    ),
    _Step(
        "Checklist",
        "Copy the checklist into a document and tick it there.",
        "Ticks belong to the exact commit and lapse when it moves.",
        "releases:settings",
        "Checklists",
        missing.checklist,
        "checklists",
    ),
    _Step(
        "A second person agrees",
        "Ask in the chat.",
        "An approver signs the exact commit and its migrations.",
        "releases:settings",
        "Release rules",
        missing.approved,
        "rules",
    ),
    _Step(
        "Merge and deploy production",
        "Merge, then watch each service on Railway.",
        "Promote merges at the approved commit and waits until every service is live.",
        "releases:releases",
        "Releases",
        missing.release,
    ),
    _Step(
        "Migrate production",
        "Run alembic upgrade head against production from a laptop.",
        "The promotion runs what staging ran, statement by statement, and no more.",
        "environments:migrations",
        "Migrations",
        missing.migrated_last,
    ),
    _Step(
        "Look at production",
        "Open the key pages.",
        "Smoke tests ask each address; key pages are items after promotion.",
        "releases:settings",
        "Smoke tests",
        missing.tested,
        "smoke-tests",
    ),
    _Step(
        "Staging equals main again",
        "Run sync_staging_to_main.sh.",
        "The last step of each promotion; also a button, and portalctl sync-staging.",
        "environments:environments",
        "Environments",
        missing.nothing,
        "repairs",
    ),
    _Step(
        "Hotfix",
        "Merge into main, then remember to merge back.",
        "A hotfix release ships it and opens the back-merge.",
        "releases:pulls",
        "Pull requests",
        missing.nothing,
    ),
    _Step(
        "Way back",
        "Find the old deployment on Railway and hope that the database fits.",
        "The way back is worked out before it is needed; a rollback is one action.",
        "releases:releases",
        "Releases",
        missing.nothing,
    ),
    _Step(
        "Task log",
        "Run new_task_log.sh and fill in the file.",
        "Each release and each finding has a task log; also portalctl task-log.",
        "releases:releases",
        "Releases",
        missing.nothing,
    ),
    _Step(
        "Tell the team",
        "Write in the chat.",
        "Slack, signed webhooks and e-mail say who is awaited and what happened.",
        "releases:notifications",
        "Notifications",
        missing.told,
    ),
)
