"""Whether the environments run what they should, hold together, and answer."""

from datetime import timedelta

from django.conf import settings

from environments.models import EnvironmentKind
from environments.services.liveness import Live, liveness, unread
from releases.gates.context import Facts
from releases.gates.registry import gate
from releases.gates.result import ATTEST, FAIL, PASS, PENDING, Result, and_, outdated
from releases.models.releases import ReleaseStatus


def _passes_by_staging(facts: Facts) -> str:
    return "A hotfix does not pass through staging." if facts.release.is_hotfix else ""


@gate("Staging healthy", always=True, exempt=_passes_by_staging)
def staging_healthy(facts: Facts) -> Result:
    """Every service of staging serves the candidate."""
    return _all_live(facts, EnvironmentKind.STAGING, facts.release.candidate, "the candidate")


@gate("Production live")
def production_live(facts: Facts) -> Result:
    """Every service of production serves the merge commit."""
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
    judged = [liveness(live, commit, since=facts.fresh_since) for live in services]
    evidence = tuple(
        (live.service, sentence) for live, (_, sentence) in zip(services, judged, strict=True)
    )
    evidence += _beside(facts, kind, commit)
    seen_at = min(
        (live.instance.seen_at for live in services if live.instance.seen_at), default=None
    )
    for state in (FAIL, PENDING):
        wrong = [
            f"{live.service} {said}"
            for live, (its, said) in zip(services, judged, strict=True)
            if its == state
        ]
        if wrong:
            return Result(state, f"In {kind}, {'; '.join(wrong)}.", evidence, seen_at)
    return Result(PASS, _serve(services, judged, commit, what), evidence, seen_at)


def _none_counts(facts: Facts, kind: str) -> str:
    """Why there is nothing to look at: then nothing says that the release is there."""
    if not facts.live.get(kind):
        return f"No service was found in {kind}; see the project's configuration and Railway."
    message = (
        f"No service in {kind} is built from {facts.project.repository} and is part of the release"
    )
    return (
        f"{message}. Connect one on Railway, or choose the release's services under Environments."
    )


def _beside(facts: Facts, kind: str, commit: str) -> tuple[tuple[str, str], ...]:
    """Services that the release does not wait for, as they are."""
    others = [live for live in facts.live.get(kind, ()) if not live.counts]
    message = (
        (live.service, liveness(live, commit, since=facts.fresh_since)[1]) for live in others
    )
    return tuple((service, f"{words}; not part of the release") for service, words in message)


def _serve(services: list[Live], judged: list[tuple[str, str]], commit: str, what: str) -> str:
    """What the services serve that all are as they should be; those that rightly stay behind are
    told apart.
    """
    ours = [live for live in services if live.at_commits]
    there = [live.service for live in ours if live.serving in ("", commit)]
    behind = [live.service for live in ours if live.service not in there]
    message = (
        [f"{and_(there)} serve{'s' if len(there) == 1 else ''} {what} {commit[:7]}"]
        if there
        else []
    )
    if behind:
        serve = "it serves" if len(behind) == 1 else "they serve"
        message.append(f"no changes for {and_(behind)} since the deployment {serve}")
    message += [
        f"{live.service} {words}"
        for live, (_, words) in zip(services, judged, strict=True)
        if live not in ours
    ]
    return f"{'; '.join(message)}."


@gate("Environments coherent", always=True, sign_off=True)
def environments_coherent(facts: Facts) -> Result:
    """Nothing is open among the findings about staging and production; what cannot be seen needs
    a signature.
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
