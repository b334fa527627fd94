"""What a project still lacks for a step of the runbook."""

from collections.abc import Callable

from environments.models import Runner
from releases.runbook.facts import RunbookFacts

Missing = Callable[[RunbookFacts], list[str]]


def nothing(facts: RunbookFacts) -> list[str]:
    return []


def findings(*kinds: str, about: str) -> Missing:
    def missing(facts: RunbookFacts) -> list[str]:
        count = sum(facts.findings.get(kind, 0) for kind in kinds)
        return [f"{count} open finding{'s' if count > 1 else ''}: {about}."] if count else []

    return missing


def variables(facts: RunbookFacts) -> list[str]:
    problems = findings(
        "address", "same", "missing", "stray", "twice", "unreadable", about="variables"
    )
    none = [] if facts.rules else ["No rule says which variables must differ."]
    return none + problems(facts)


def tokens(facts: RunbookFacts) -> list[str]:
    return [f"{name} does not work." for name in facts.broken]


def previews(facts: RunbookFacts) -> list[str]:
    return [] if facts.project.previews else ["Previews are off under Project settings."]


def commands(facts: RunbookFacts) -> list[str]:
    return [] if facts.project.pre_push.strip() else ["No command is named."]


def checks(facts: RunbookFacts) -> list[str]:
    known = facts.project.required_checks or facts.project.protected_checks
    return [] if known else ["No check is required."]


def protected(facts: RunbookFacts) -> list[str]:
    if not facts.protections_read:
        return ["The protection was not read yet."]
    return [f"{branch} is not protected." for branch in facts.unprotected]


def healthy(facts: RunbookFacts) -> list[str]:
    problems = findings("branch", "push", "behind", about="branches and deployments")
    none = [] if facts.on_staging else ["No smoke test of staging."]
    return none + problems(facts)


def migrated(facts: RunbookFacts) -> list[str]:
    if not facts.databases:
        return ["No Alembic directory is configured."]
    unread = [f"Database {name} reports no revision yet." for name in facts.unread]
    without = [] if facts.project.soak_minutes else ["No time to observe staging is set."]
    return unread + without


def migrated_last(facts: RunbookFacts) -> list[str]:
    if not facts.databases:
        return ["No Alembic directory is configured."]
    on_railway = [
        database.name for database in facts.databases if database.runner == Runner.RAILWAY
    ]
    return [f"{name}: Railway migrates it when it deploys." for name in on_railway]


def release(facts: RunbookFacts) -> list[str]:
    watching = facts.project.watch_only
    return ["The project only watches: nothing is sent to GitHub or Railway."] if watching else []


def checklist(facts: RunbookFacts) -> list[str]:
    return [] if facts.items else ["The checklist has no item that a person ticks."]


def approved(facts: RunbookFacts) -> list[str]:
    needed = facts.project.required_approvals
    if not needed:
        return ["One person alone can ship: no approval is required."]
    have = facts.approvers
    return [f"{needed} must approve, but only {have} may."] if have < needed else []


def tested(facts: RunbookFacts) -> list[str]:
    return [] if facts.on_production else ["No smoke test of production."]


def told(facts: RunbookFacts) -> list[str]:
    return [] if facts.channels else ["No channel is told of this project."]
