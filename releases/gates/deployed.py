"""Whether the environments run what they should, are consistent, and answer."""

from datetime import datetime, timedelta

from django.conf import settings

from environments.models import EnvironmentKind
from environments.services.liveness import Live, liveness, unread
from portal.words import and_
from releases.gates.context import Facts
from releases.gates.registry import gate
from releases.gates.result import ATTEST, FAIL, PASS, PENDING, Result, outdated, step_of
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
    commit = facts.release.merge_commit
    if not commit:
        return Result(PENDING, "The release is not merged yet.")
    if facts.release.status == ReleaseStatus.ROLLED_BACK:
        return rolled_back(facts)
    return _all_live(facts, EnvironmentKind.PRODUCTION, commit, "the merge commit")


def rolled_back(facts: Facts) -> Result:
    """Return that the release is not in production any more, whatever else serves there now."""
    serving = tuple((live.service, live.serving[:7] or "nothing") for live in facts.in_production)
    message = "The release was rolled back: production runs the earlier deployment."
    return Result(FAIL, message, serving)


def _all_live(facts: Facts, kind: str, commit: str, what: str) -> Result:
    if stale := outdated(facts, "Railway"):
        return stale
    services = [live for live in facts.live.get(kind, ()) if live.counts]
    if not any(live.at_commits for live in services):
        return Result(FAIL, _none_counts(facts, kind))
    judgements = [(live, *live_at(facts, live, kind, commit)) for live in services]
    evidence = tuple((live.service, sentence) for live, _, sentence in judgements)
    evidence += _beside(facts, kind, commit)
    seen_at = min(filter(None, (live.instance.seen_at for live in services)), default=None)
    for state in (FAIL, PENDING):
        if wrong := [
            f"{live.service} {sentence}" for live, its, sentence in judgements if its == state
        ]:
            return Result(state, f"In {kind}, {'; '.join(wrong)}.", evidence, seen_at)
    return Result(PASS, _serve(judgements, commit, what), evidence, seen_at)


def live_at(facts: Facts, live: Live, kind: str, commit: str) -> tuple[str, str]:
    """Return `liveness` of one service: what was just pushed is on its way, and no failure."""
    state, words = liveness(live, commit, since=facts.fresh_since)
    latest, pushed = live.latest, _pushed_at(facts, kind)
    if state != FAIL or latest is None or latest.commit == commit or not latest.is_active:
        return state, words
    grace = timedelta(seconds=settings.DEPLOY_GRACE_SECONDS)
    if live.at_commits and pushed and facts.now - pushed < grace:
        return PENDING, f"serves {live.serving[:7]}; Railway is about to deploy {commit[:7]}"
    return state, words


def _pushed_at(facts: Facts, kind: str) -> datetime | None:
    """Return when the awaited commit was pushed to the branch of the environment."""
    if kind == EnvironmentKind.STAGING:
        return facts.release.candidate_at
    merge = step_of(facts, StepName.MERGE)
    return merge.finished_at if merge else None


def _none_counts(facts: Facts, kind: str) -> str:
    """Return why there is nothing to look at: then nothing says that the release is there."""
    if not facts.live.get(kind):
        return f"No service was found in {kind}; see the project's configuration and Railway."
    return (
        f"No service in {kind} is built from {facts.project.repository} and is part of the release."
        " Connect one on Railway, or choose the release's services under Environments."
    )


def _beside(facts: Facts, kind: str, commit: str) -> tuple[tuple[str, str], ...]:
    """Return services that the release does not wait for, as they are."""
    return tuple(
        (live.service, f"{live_at(facts, live, kind, commit)[1]}; not part of the release")
        for live in facts.live.get(kind, ())
        if not live.counts
    )


def _serve(judged: list[tuple[Live, str, str]], commit: str, what: str) -> str:
    """Return what the services serve, all as they should; those that rightly stay behind apart."""
    ours = [live for live, _, _ in judged if live.at_commits]
    there = [live.service for live in ours if live.serving in ("", commit)]
    behind = [live.service for live in ours if live.service not in there]
    message = []
    if there:
        message.append(f"{_named(there)} serve{'s' if len(there) == 1 else ''} {what} {commit[:7]}")
    if behind:
        serve = "it serves" if len(behind) == 1 else "they serve"
        message.append(f"no changes for {_named(behind)} since the deployment {serve}")
    message += [f"{live.service} {words}" for live, _, words in judged if not live.at_commits]
    return f"{'; '.join(message)}."


def _named(services: list[str]) -> str:
    """Return the services by name, or how many they are: the evidence names each."""
    return and_(services) if len(services) <= NAMED else f"{len(services)} services"


@gate("Environments coherent", always=True, sign_off=True)
def environments_coherent(facts: Facts) -> Result:
    """Require that no finding about staging and production is open; what cannot be seen needs a
    signature.
    """
    if stale := outdated(facts, "Railway"):
        return stale
    seen_at = facts.railway_seen_at
    evidence = tuple((finding.subject, finding.sentence) for finding in facts.findings)
    wrong = [finding for finding in facts.findings if not finding.attestable]
    if wrong:
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        return Result(FAIL, f"{wrong[0].sentence}{more}", evidence, seen_at)
    blind = [
        str(live.instance)
        for rows in facts.live.values()
        for live in rows
        if unread(live, facts.fresh_since)
    ]
    if blind:
        unseen = "could not be read recently, so branches and addresses are not verified."
        return Result(PENDING, f"{and_(blind)} {unseen}", evidence, seen_at)
    oldest = facts.now - 3 * timedelta(seconds=settings.VARIABLES_SECONDS)
    for name, environment in facts.environments.items():
        read_at = environment.variables_at
        if read_at is None or read_at < oldest:
            message = f"The variables of {name} were not read recently."
            return Result(PENDING, message, evidence, read_at)
    if facts.findings:
        message = f"{facts.findings[0].sentence} Confirm the item or resolve the finding."
        return Result(ATTEST, message, evidence, seen_at)
    return Result(PASS, "Branches, services and addresses are as expected.", (), seen_at)
