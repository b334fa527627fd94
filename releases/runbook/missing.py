"""What a project still lacks for a step of the runbook."""

from collections.abc import Callable

from environments.models import Runner
from releases.runbook.facts import Standing

Missing = Callable[[Standing], list[str]]


def nothing(standing: Standing) -> list[str]:
    return []


def findings(*kinds: str, about: str) -> Missing:
    def missing(standing: Standing) -> list[str]:
        count = sum(standing.findings.get(kind, 0) for kind in kinds)
        return [f"{count} open finding{'s' if count > 1 else ''}: {about}."] if count else []

    return missing


def variables(standing: Standing) -> list[str]:
    found = findings(
        "address", "same", "missing", "stray", "twice", "unreadable", about="variables"
    )
    none = [] if standing.rules else ["No rule says which variables must differ."]
    return none + found(standing)


def tokens(standing: Standing) -> list[str]:
    return [f"{name} does not work." for name in standing.broken]


def previews(standing: Standing) -> list[str]:
    return [] if standing.project.previews else ["Previews are off under Project settings."]


def commands(standing: Standing) -> list[str]:
    return [] if standing.project.pre_push.strip() else ["No command is named."]


def checks(standing: Standing) -> list[str]:
    known = standing.project.required_checks or standing.project.protected_checks
    return [] if known else ["No check is required."]


def protected(standing: Standing) -> list[str]:
    if not standing.protections_read:
        return ["The protection was not read yet."]
    return [f"{branch} is not protected." for branch in standing.unprotected]


def healthy(standing: Standing) -> list[str]:
    found = findings("branch", "push", "behind", about="branches and deployments")
    none = [] if standing.on_staging else ["No smoke test of staging."]
    return none + found(standing)


def migrated(standing: Standing) -> list[str]:
    if not standing.databases:
        return ["No Alembic directory is configured."]
    unread = [f"Database {name} reports no revision yet." for name in standing.unread]
    without = [] if standing.project.soak_minutes else ["No time to observe staging is set."]
    return unread + without


def migrated_last(standing: Standing) -> list[str]:
    if not standing.databases:
        return ["No Alembic directory is configured."]
    on_railway = [one.name for one in standing.databases if one.runner == Runner.RAILWAY]
    return [f"{name}: Railway migrates it when it deploys." for name in on_railway]


def release(standing: Standing) -> list[str]:
    watching = standing.project.watch_only
    return ["The project only watches: nothing is sent to GitHub or Railway."] if watching else []


def checklist(standing: Standing) -> list[str]:
    return [] if standing.items else ["The checklist has no item that a person ticks."]


def approved(standing: Standing) -> list[str]:
    needed = standing.project.required_approvals
    if not needed:
        return ["One person alone can ship: no approval is required."]
    have = standing.approvers
    return [f"{needed} must approve, but only {have} may."] if have < needed else []


def tested(standing: Standing) -> list[str]:
    return [] if standing.on_production else ["No smoke test of production."]


def told(standing: Standing) -> list[str]:
    return [] if standing.channels else ["No channel is told of this project."]
