"""The steps of a manual two-environment workflow on Railway, and where each is done here.

A new step is one entry in `_STEPS`: who reads it sees the old way, the page, and what is missing.
"""

from collections.abc import Callable
from dataclasses import dataclass

from django.urls import reverse

from environments.models import Runner
from releases.runbook.facts import Standing

Missing = Callable[[Standing], list[str]]


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


def steps(standing: Standing) -> list[Step]:
    """Return every step in the order of a release, with what this project still lacks for it."""
    query = f"?project={standing.project.slug}"
    return [
        Step(
            one.title,
            one.by_hand,
            one.here,
            reverse(one.view) + query + (f"#{one.anchor}" if one.anchor else ""),
            one.page_title,
            one.missing(standing),
        )
        for one in _STEPS
    ]


def _nothing(standing: Standing) -> list[str]:
    return []


def _findings(*kinds: str, about: str) -> Missing:
    def missing(standing: Standing) -> list[str]:
        count = sum(standing.findings.get(kind, 0) for kind in kinds)
        return [f"{count} open finding{'s' if count > 1 else ''}: {about}."] if count else []

    return missing


def _variables(standing: Standing) -> list[str]:
    found = _findings(
        "address", "same", "missing", "stray", "twice", "unreadable", about="variables"
    )
    none = [] if standing.rules else ["No rule says which variables must differ."]
    return none + found(standing)


def _tokens(standing: Standing) -> list[str]:
    return [f"{name} does not work." for name in standing.broken]


def _previews(standing: Standing) -> list[str]:
    return [] if standing.project.previews else ["Previews are off under Project settings."]


def _commands(standing: Standing) -> list[str]:
    return [] if standing.project.pre_push.strip() else ["No command is named."]


def _checks(standing: Standing) -> list[str]:
    known = standing.project.required_checks or standing.project.protected_checks
    return [] if known else ["No check is required."]


def _protected(standing: Standing) -> list[str]:
    if not standing.protections_read:
        return ["The protection was not read yet."]
    return [f"{branch} is not protected." for branch in standing.unprotected]


def _healthy(standing: Standing) -> list[str]:
    found = _findings("branch", "push", "behind", about="branches and deployments")
    none = [] if standing.on_staging else ["No smoke test of staging."]
    return none + found(standing)


def _migrated(standing: Standing) -> list[str]:
    if not standing.databases:
        return ["No Alembic directory is configured."]
    unread = [f"Database {name} reports no revision yet." for name in standing.unread]
    without = [] if standing.project.soak_minutes else ["No time to observe staging is set."]
    return unread + without


def _migrated_last(standing: Standing) -> list[str]:
    if not standing.databases:
        return ["No Alembic directory is configured."]
    on_railway = [one.name for one in standing.databases if one.runner == Runner.RAILWAY]
    return [f"{name}: Railway migrates it when it deploys." for name in on_railway]


def _release(standing: Standing) -> list[str]:
    watching = standing.project.watch_only
    return ["The project only watches: nothing is sent to GitHub or Railway."] if watching else []


def _checklist(standing: Standing) -> list[str]:
    return [] if standing.items else ["The checklist has no item that a person ticks."]


def _approved(standing: Standing) -> list[str]:
    needed = standing.project.required_approvals
    if not needed:
        return ["One person alone can ship: no approval is required."]
    have = standing.approvers
    return [f"{needed} must approve, but only {have} may."] if have < needed else []


def _tested(standing: Standing) -> list[str]:
    return [] if standing.on_production else ["No smoke test of production."]


def _told(standing: Standing) -> list[str]:
    return [] if standing.channels else ["No channel is told of this project."]


_STEPS = (
    _Step(
        "Environments follow their branches",
        "Look in Railway's settings which branch each service deploys.",
        "The portal compares every service with its branch and repairs it on a click.",
        "environments:environments",
        "Environments",
        _findings("branch", "push", about="branches that services follow"),
    ),
    _Step(
        "Variables differ where they must",
        "Compare the variables of both environments by eye.",
        "Rules hold the variables apart; values are compared without being stored.",
        "environments:variables",
        "Variables",
        _variables,
    ),
    _Step(
        "Tokens work",
        "Run railway whoami and try again after “Unauthorized”.",
        "The portal tests each token and says what it can do and what it lacks.",
        "environments:connections",
        "Connections",
        _tokens,
    ),
    _Step(
        "A preview for each pull request",
        "A workflow such as preview_env.yml makes and deletes environments.",
        "The portal makes pr-N, sets its variables, reports the address and deletes it.",
        "environments:previews",
        "Previews",
        _previews,
    ),
    _Step(
        "Checks before a push",
        "Remember to run the build and the tests.",
        "The commands stand beside the pull requests.",
        "releases:pulls",
        "Pull requests",
        _commands,
    ),
    _Step(
        "CI is green",
        "Look at the pull request on GitHub.",
        "Required checks are a gate; a missing or skipped check never passes.",
        "environments:protections",
        "Protections",
        _checks,
    ),
    _Step(
        "Branches are protected",
        "Click through GitHub's settings and hope that they stay.",
        "The portal compares the protection with what it should be, and applies it.",
        "environments:protections",
        "Protections",
        _protected,
    ),
    _Step(
        "Staging is healthy",
        "Open Railway and staging's pages after each merge.",
        "A gate waits until each service serves the candidate and passes its smoke tests.",
        "releases:board",
        "Board",
        _healthy,
    ),
    _Step(
        "Migrate staging, then observe",
        "Run alembic upgrade head against staging, then wait.",
        "The portal plans, rehearses and runs the migrations, and counts the time.",
        "environments:migrations",
        "Migrations",
        _migrated,
    ),
    _Step(
        "Promotion pull request",
        "Open a pull request from staging into main and list what it brings.",
        "Create release opens it and collects commits, pull requests and migrations.",
        "releases:board",
        "Board",
        _release,
    ),
    _Step(
        "Checklist",
        "Copy the checklist into a document and tick it there.",
        "Ticks belong to the exact commit and lapse when it moves.",
        "releases:settings",
        "Checklists",
        _checklist,
        "checklists",
    ),
    _Step(
        "A second person agrees",
        "Ask in the chat.",
        "An approver signs the exact commit and its migrations.",
        "releases:settings",
        "Rules for releases",
        _approved,
        "rules",
    ),
    _Step(
        "Merge and deploy production",
        "Merge, then watch each service on Railway.",
        "Promote merges at the approved commit and waits until every service is live.",
        "releases:releases",
        "Releases",
        _release,
    ),
    _Step(
        "Migrate production",
        "Run alembic upgrade head against production from a laptop.",
        "The promotion runs what staging ran, statement by statement, and no more.",
        "environments:migrations",
        "Migrations",
        _migrated_last,
    ),
    _Step(
        "Look at production",
        "Open the key pages.",
        "Smoke tests ask each address; key pages are items after promotion.",
        "releases:settings",
        "Smoke tests",
        _tested,
        "smoke-tests",
    ),
    _Step(
        "Staging equals main again",
        "Run sync_staging_to_main.sh.",
        "The last step of each promotion; also a button, and portalctl sync-staging.",
        "environments:environments",
        "Environments",
        _nothing,
        "repairs",
    ),
    _Step(
        "Hotfix",
        "Merge into main, then remember to merge back.",
        "A hotfix release ships it and opens the back-merge.",
        "releases:pulls",
        "Pull requests",
        _nothing,
    ),
    _Step(
        "Way back",
        "Find the old deployment on Railway and hope that the database fits.",
        "The way back is worked out before it is needed; a rollback is one action.",
        "releases:releases",
        "Releases",
        _nothing,
    ),
    _Step(
        "Task log",
        "Run new_task_log.sh and fill in the file.",
        "Each release and each finding has a task log; also portalctl task-log.",
        "releases:releases",
        "Releases",
        _nothing,
    ),
    _Step(
        "Tell the team",
        "Write in the chat.",
        "Slack, signed webhooks and e-mail say who is awaited and what happened.",
        "releases:notifications",
        "Notifications",
        _told,
    ),
)
