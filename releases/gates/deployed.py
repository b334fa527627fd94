"""Whether the environments run what they should, are consistent, and answer."""

from datetime import datetime, timedelta

from django.conf import settings

from environments.models import EnvironmentKind
from environments.services.liveness import Live, liveness, unread
from releases.gates.context import Facts
from releases.gates.registry import gate
from releases.gates.result import ATTEST, FAIL, PASS, PENDING, Result, and_, outdated, step_of
from releases.models.promotion import StepName
from releases.models.releases import ReleaseStatus

NAMED = 6  # services named in one sentence


def _passes_by_staging(facts: Facts) -> str:
    return "A hotfix does not pass through staging." if facts.release.is_hotfix else ""


@gate("Staging healthy", always=True, exempt=_passes_by_staging)
def staging_healthy(facts: Facts) -> Result:
    """Require that every service of staging serves the candidate."""
    return _all_live(facts, EnvironmentKind.STAGING, facts.release.candidate, "the candidate")


@gate("Production live")
def production_live(facts: Facts) -> Result:
    """Require that every service of production serves the merge commit."""
    if not facts.release.merge_commit:
        return Result(PENDING, "The release is not merged yet.")
    if facts.release.status == ReleaseStatus.ROLLED_BACK:
        return rolled_back(facts)
    return _all_live(
        facts, EnvironmentKind.PRODUCTION, facts.release.merge_commit, "the merge commit"
    )


def rolled_back(facts: Facts) -> Result:
    """Return that the release is not in production any more, whatever else serves there now."""
    serving = tuple((one.service, one.serving[:7] or "nothing") for one in facts.in_production)
    return Result(
        FAIL, "The release was rolled back: production runs the earlier deployment.", serving
    )


def _all_live(facts: Facts, kind: str, commit: str, what: str) -> Result:
    stale = outdated(facts, "Railway", facts.railway_seen_at, facts.railway_problem)
    if stale:
        return stale
    services = [live for live in facts.live.get(kind, ()) if live.counts]
    if not any(live.at_commits for live in services):
        return Result(FAIL, _none_counts(facts, kind))
    judged = [live_at(facts, live, kind, commit) for live in services]
    told = [(live.service, *found) for live, found in zip(services, judged, strict=True)]
    evidence = tuple((service, sentence) for service, _, sentence in told)
    evidence += _beside(facts, kind, commit)
    seen = [live.instance.seen_at for live in services if live.instance.seen_at]
    seen_at = min(seen, default=None)
    for state in (FAIL, PENDING):
        if wrong := [f"{service} {said}" for service, its, said in told if its == state]:
            return Result(state, f"In {kind}, {'; '.join(wrong)}.", evidence, seen_at)
    return Result(PASS, _serve(services, judged, commit, what), evidence, seen_at)


def live_at(facts: Facts, live: Live, kind: str, commit: str) -> tuple[str, str]:
    """Return `liveness` of one service. What was pushed a moment ago is on its way, and no
    failure.
    """
    state, words = liveness(live, commit, since=facts.fresh_since)
    latest, pushed = live.latest, _pushed_at(facts, kind)
    if state != FAIL or latest is None or latest.commit == commit or not latest.is_active:
        return state, words
    grace = timedelta(seconds=settings.DEPLOY_GRACE_SECONDS)
    if live.at_commits and pushed and facts.now - pushed < grace:
        return PENDING, f"serves {live.serving[:7]}; Railway is about to deploy {commit[:7]}"
    return state, words


def _pushed_at(facts: Facts, kind: str) -> datetime | None:
    """Return when the commit that is waited for was pushed to the branch of the environment."""
    if kind == EnvironmentKind.STAGING:
        return facts.release.candidate_at
    merge = step_of(facts, StepName.MERGE)
    return merge.finished_at if merge else None


def _none_counts(facts: Facts, kind: str) -> str:
    """Return why there is nothing to look at: then nothing says that the release is there."""
    if not facts.live.get(kind):
        return f"No service was found in {kind}; see the project's configuration and Railway."
    message = (
        f"No service in {kind} is built from {facts.project.repository} and is part of the release"
    )
    return (
        f"{message}. Connect one on Railway, or choose the release's services under Environments."
    )


def _beside(facts: Facts, kind: str, commit: str) -> tuple[tuple[str, str], ...]:
    """Return services that the release does not wait for, as they are."""
    others = [live for live in facts.live.get(kind, ()) if not live.counts]
    message = ((live.service, live_at(facts, live, kind, commit)[1]) for live in others)
    return tuple((service, f"{words}; not part of the release") for service, words in message)


def _serve(services: list[Live], judged: list[tuple[str, str]], commit: str, what: str) -> str:
    """Return what the services serve that all are as they should be; those that rightly stay behind
    are told apart.
    """
    ours = [live for live in services if live.at_commits]
    there = [live.service for live in ours if live.serving in ("", commit)]
    behind = [live.service for live in ours if live.service not in there]
    message = (
        [f"{_named(there)} serve{'s' if len(there) == 1 else ''} {what} {commit[:7]}"]
        if there
        else []
    )
    if behind:
        serve = "it serves" if len(behind) == 1 else "they serve"
        message.append(f"no changes for {_named(behind)} since the deployment {serve}")
    message += [
        f"{live.service} {words}"
        for live, (_, words) in zip(services, judged, strict=True)
        if live not in ours
    ]
    return f"{'; '.join(message)}."


def _named(services: list[str]) -> str:
    """Return the services by name, or how many they are: the evidence names each."""
    return and_(services) if len(services) <= NAMED else f"{len(services)} services"


@gate("Environments coherent", always=True, sign_off=True)
def environments_coherent(facts: Facts) -> Result:
    """Require that nothing is open among the findings about staging and production; what cannot be
    seen needs a signature.
    """
    stale = outdated(facts, "Railway", facts.railway_seen_at, facts.railway_problem)
    if stale:
        return stale
    evidence = tuple((finding.subject, finding.sentence) for finding in facts.findings)
    wrong = [finding for finding in facts.findings if not finding.attestable]
    if wrong:
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        return Result(FAIL, f"{wrong[0].sentence}{more}", evidence, facts.railway_seen_at)
    blind = [
        str(live.instance)
        for rows in facts.live.values()
        for live in rows
        if unread(live, facts.fresh_since)
    ]
    if blind:
        message = (
            f"{and_(blind)} could not be read recently, so branches and addresses are not verified."
        )
        return Result(PENDING, message, evidence, facts.railway_seen_at)
    for name, environment in facts.environments.items():
        read_at = environment.variables_at
        if read_at is None or facts.now - read_at > 3 * timedelta(
            seconds=settings.VARIABLES_SECONDS
        ):
            return Result(
                PENDING, f"The variables of {name} were not read recently.", evidence, read_at
            )
    if facts.findings:
        message = f"{facts.findings[0].sentence} Confirm the item or resolve the finding."
        return Result(ATTEST, message, evidence, facts.railway_seen_at)
    return Result(
        PASS, "Branches, services and addresses are as expected.", (), facts.railway_seen_at
    )
