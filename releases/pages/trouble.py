"""The top of a release in trouble: what is live, what to do now, and where to read more.

Computes plain values from the facts, without queries.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from environments.deployment_logs.reading import WITH_LOG
from environments.models import Deployment, DeploymentLog
from environments.railway.dashboard import deployment_page
from environments.railway.deployment_states import BROKEN
from environments.services.liveness import Live
from portal.outbound.pages import commit_page, compare_page, pull_page
from releases import gates
from releases.gates.context import Facts
from releases.models.promotion import PromotionStep, StepName
from releases.models.releases import ReleaseStatus
from releases.models.rollback import RollbackStep, RollbackStepName

ADVICE = {
    StepName.MERGE: "Fix on GitHub what refuses the merge, then retry.",
    StepName.DEPLOY: "Read the log, then redeploy; if the code is at fault, ship a fix.",
    StepName.MIGRATE: "Correct what the cause names, then retry: it goes on from where the"
    " database is.",
    StepName.SMOKE: "Look at the failing address, then retry; if production is broken, request a"
    " rollback.",
    StepName.SYNC_STAGING: "Production is fine. Fix the branch on GitHub, then retry.",
    StepName.BACK_MERGE: "Production is fine. Fix the branch on GitHub, then retry.",
}
MOVED = (
    "The commits that you checked are not those that would be merged. Cancel this promotion: the"
    " release takes up the new commits, and people check and approve them."
)
GOING_BACK = {
    RollbackStepName.APPROVE: "Read why, then retry or cancel the rollback.",
    RollbackStepName.RESTORE: "Read what Railway says, fix it there, then retry.",
    RollbackStepName.LIVE: "Read the log of the service that is not live, then retry.",
    RollbackStepName.SMOKE: "Look at the failing address, then retry.",
}
NOT_LIVE = (
    "Production does not run this release as promoted. Repair the service under Environments; if"
    " production is broken, request a rollback."
)


@dataclass(frozen=True)
class Link:
    """A page elsewhere, or on this portal."""

    label: str
    address: str


@dataclass(frozen=True)
class ServiceLine:
    """What one service serves in production, in words, with Railway's page of its deployment."""

    state: str
    name: str
    commit: str
    words: str
    log: str = ""  # Railway's page of the deployment
    broken: Deployment | None = None  # the newest one, where it came to nothing
    read: DeploymentLog | None = None  # what Railway logged of that


@dataclass(frozen=True)
class Trouble:
    """What is live per service, what to do now, and one click to each log.

    `part`: what stopped, "promotion", "rollback" or "production".
    """

    part: str
    advice: str
    services: tuple[ServiceLine, ...]
    links: tuple[Link, ...]


def trouble(
    facts: Facts, stopped: PromotionStep | None, going_back: RollbackStep | None
) -> Trouble | None:
    """Return what the page begins with when a step of the promotion `stopped`, one of the rollback
    did, or production does not run what was promoted; None while nothing of it is so.
    """
    services = tuple(_service(facts, live) for live in facts.in_production)
    # What is broken comes first: on a phone the rest is below the fold.
    ordered = tuple(sorted(services, key=lambda service: (service.state != "fail", service.name)))
    links = _links(facts)
    if going_back is not None:
        advice = GOING_BACK[RollbackStepName(going_back.name)]
        return Trouble("rollback", advice, ordered, links)
    if stopped is not None and facts.release.status == ReleaseStatus.PROMOTING:
        return Trouble("promotion", _advice(facts, stopped), ordered, links)
    fell_over = (
        facts.release.status == ReleaseStatus.VERIFYING
        and gates.GATES["production_live"](facts).state == gates.FAIL
    )
    return Trouble("production", NOT_LIVE, ordered, links) if fell_over else None


def has_moved(facts: Facts) -> bool:
    """Return whether the pull request holds other commits than those that people checked."""
    pull, release = facts.promotion_pull, facts.release
    if pull is None or release.merge_commit or pull.state != "open":
        return False
    return pull.head_sha != release.candidate


def _advice(facts: Facts, stopped: PromotionStep) -> str:
    if stopped.name != StepName.MERGE:
        return ADVICE.get(StepName(stopped.name), "Retry.")
    if has_moved(facts):
        return MOVED
    if facts.freeze:
        return "Wait until the freeze is lifted, then retry; or cancel the promotion."
    return ADVICE[StepName.MERGE]


def with_logs(trouble: Trouble | None, logs: Mapping[int, DeploymentLog]) -> Trouble | None:
    """Return the same with what Railway logged of its failed deployments, by their keys."""
    if trouble is None or not logs:
        return trouble
    services = tuple(
        replace(service, read=logs.get(service.broken.pk)) if service.broken else service
        for service in trouble.services
    )
    return replace(trouble, services=services)


def _service(facts: Facts, live: Live) -> ServiceLine:
    line, latest = _line(facts, live), live.latest
    logged = latest is not None and latest.status in WITH_LOG
    return replace(line, broken=latest) if logged else line


def _line(facts: Facts, live: Live) -> ServiceLine:
    release, serving = facts.release, live.serving
    latest = live.latest
    broken = latest is not None and latest.status in BROKEN
    shown = latest if broken else next(iter(live.active), latest)
    log = _log(facts, live, shown)
    ours = release.merge_commit
    if broken and latest is not None and latest.commit != serving:
        still = "still live" if serving else "nothing serves"
        words = f"{still}; deploy of {latest.commit[:7]} {latest.status.lower()}"
        return ServiceLine("fail", live.service, serving, words, log)
    if not serving:
        return ServiceLine("fail" if broken else "wait", live.service, "", "nothing serves", log)
    if serving == ours:
        return ServiceLine("pass", live.service, serving, "this release", log)
    words = "as before this release" if live.at_commits else ""
    return ServiceLine("closed", live.service, serving, words, log)


def _log(facts: Facts, live: Live, deployment: Deployment | None) -> str:
    if deployment is None:
        return ""
    return deployment_page(
        facts.project.railway_project_id,
        live.instance.service.railway_id,
        live.instance.environment.railway_id,
        deployment.railway_id,
    )


def _links(facts: Facts) -> tuple[Link, ...]:
    return tuple(link for link in github_links(facts) if link.address)


def github_links(facts: Facts) -> tuple[Link, ...]:
    """Return GitHub's pages of the release: pull request, candidate, and what it changes."""
    release, repository = facts.release, facts.project.repository
    pull = facts.promotion_pull.url if facts.promotion_pull else ""
    links = (
        Link(f"#{release.pull_number}", pull or pull_page(repository, release.pull_number)),
        Link("Merge commit", commit_page(repository, release.merge_commit)),
        Link("Changes", compare_page(repository, release.base, release.candidate)),
    )
    return tuple(link for link in links if link.address)
