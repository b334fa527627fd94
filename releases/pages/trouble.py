"""The top of a release in trouble: what is live, what to do now, and where to read more.

Plain values out of facts; no queries.
"""

from dataclasses import dataclass

from environments.github.pages import commit_page, compare_page, pull_page
from environments.models import Deployment
from environments.railway.dashboard import deployment_page
from environments.railway.deployment_states import BROKEN
from environments.services.liveness import Live
from releases.gates.context import Facts
from releases.models.promotion import PromotionStep, StepName
from releases.models.releases import ReleaseStatus

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


@dataclass(frozen=True)
class Trouble:
    """What is live per service, what to do now, and one click to each log."""

    advice: str
    services: tuple[ServiceLine, ...]
    links: tuple[Link, ...]


def trouble(facts: Facts, stopped: PromotionStep | None) -> Trouble | None:
    """Return what the page begins with when the step `stopped`; None while nothing did."""
    if stopped is None or facts.release.status != ReleaseStatus.PROMOTING:
        return None
    services = tuple(_service(facts, live) for live in facts.in_production)
    # What is broken comes first: on a phone the rest is below the fold.
    ordered = sorted(services, key=lambda service: (service.state != "fail", service.name))
    return Trouble(ADVICE.get(StepName(stopped.name), "Retry."), tuple(ordered), _links(facts))


def _service(facts: Facts, live: Live) -> ServiceLine:
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
    found = (
        Link(f"#{release.pull_number}", pull or pull_page(repository, release.pull_number)),
        Link("Merge commit", commit_page(repository, release.merge_commit)),
        Link("Changes", compare_page(repository, facts.production_head, release.candidate)),
    )
    return tuple(link for link in found if link.address)
