"""Whether the environments run what they should, hold together, and answer."""

from datetime import datetime, timedelta

from django.conf import settings

from environments.models import SERVING, UNDER_WAY
from releases.facts import Facts, Live
from releases.gates.result import ATTEST, FAIL, PASS, PENDING, Result, and_, outdated, step_of
from releases.models import ReleaseStatus, StepName, StepStatus

SMOKE_VALID = timedelta(hours=2)


def staging_healthy(facts: Facts) -> Result:
    """Every service of staging serves the candidate."""
    return _all_live(facts, "staging", facts.release.candidate, "the candidate")


def production_live(facts: Facts) -> Result:
    """Every service of production serves the merge commit."""
    if not facts.release.merge_commit:
        return Result(PENDING, "The release is not merged yet.")
    if facts.release.status == ReleaseStatus.ROLLED_BACK:
        return _rolled_back(facts)
    return _all_live(facts, "production", facts.release.merge_commit, "the merge commit")


def _rolled_back(facts: Facts) -> Result:
    """What was true of a release does not hold any more once it was taken back, whatever else serves now."""
    serving = tuple((one.service, one.serving[:7] or "nothing") for one in facts.live.get("production", ()))
    return Result(FAIL, "The release was rolled back: production runs what ran before it.", serving)


def _all_live(facts: Facts, kind: str, commit: str, what: str) -> Result:
    stale = outdated(facts, "Railway", facts.railway_seen_at, facts.railway_problem)
    if stale:
        return stale
    services = facts.live.get(kind, ())
    if not services:
        return Result(FAIL, f"No service was found in {kind}; see the project's configuration and Railway.")
    judged = [liveness(live, commit, since=facts.fresh_since) for live in services]
    evidence = tuple((live.service, sentence) for live, (_, sentence) in zip(services, judged, strict=True))
    seen_at = min((live.instance.seen_at for live in services if live.instance.seen_at), default=None)
    for state in (FAIL, PENDING):
        wrong = [f"{live.service} {said}" for live, (its, said) in zip(services, judged, strict=True) if its == state]
        if wrong:
            return Result(state, f"In {kind}, {'; '.join(wrong)}.", evidence, seen_at)
    names = and_(live.service for live in services)
    return Result(PASS, f"{names} serve{'s' if len(services) == 1 else ''} {what} {commit[:7]}.", evidence, seen_at)


def _unread(live: Live, since: datetime) -> bool:
    return live.instance.seen_at is None or live.instance.seen_at < since


def liveness(live: Live, commit: str, *, since: datetime) -> tuple[str, str]:
    """State and words for one service: does it serve exactly `commit`, seen `since` then, and nothing else to come?"""
    latest = live.latest
    if _unread(live, since):
        return PENDING, "could not be read lately"
    if latest is None:
        return FAIL, "has no deployment"
    if latest.commit != commit:
        if latest.status in UNDER_WAY:
            return PENDING, f"is deploying {latest.commit[:7] or 'an unknown commit'}"
        return FAIL, f"serves {live.serving[:7] or 'no known commit'}, not {commit[:7]}"
    if latest.status in UNDER_WAY:
        return PENDING, f"is deploying {commit[:7]} ({latest.status.lower()})"
    if latest.status == "NEEDS_APPROVAL":
        return PENDING, f"waits for an approval on Railway to deploy {commit[:7]}"
    if latest.status not in SERVING:
        return (
            FAIL,
            f"is not live at {commit[:7]} ({latest.status.lower().replace('_', ' ') or 'status unknown'})",
        )
    if latest.status == "SUCCESS" and latest.stopped:
        return FAIL, f"is stopped at {commit[:7]}"
    if not latest.is_active:
        return PENDING, f"has deployed {commit[:7]}, but Railway does not list it as active yet"
    return PASS, f"live at {commit[:7]}"


def environments_coherent(facts: Facts) -> Result:
    """Nothing is open among the findings about staging and production; what cannot be seen needs a signature."""
    stale = outdated(facts, "Railway", facts.railway_seen_at, facts.railway_problem)
    if stale:
        return stale
    evidence = tuple((finding.subject, finding.sentence) for finding in facts.findings)
    wrong = [finding for finding in facts.findings if not finding.attestable]
    if wrong:
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        return Result(FAIL, f"{wrong[0].sentence}{more}", evidence, facts.railway_seen_at)
    unread = [str(live.instance) for rows in facts.live.values() for live in rows if _unread(live, facts.fresh_since)]
    if unread:
        said = f"{and_(unread)} could not be read lately, so nothing says that branches and addresses are right."
        return Result(PENDING, said, evidence, facts.railway_seen_at)
    for name, environment in facts.environments.items():
        read_at = environment.variables_at
        if read_at is None or facts.now - read_at > 3 * timedelta(seconds=settings.VARIABLES_SECONDS):
            return Result(PENDING, f"The variables of {name} were not read lately.", evidence, read_at)
    if facts.findings:
        said = f"{facts.findings[0].sentence} A person must say that it is right."
        return Result(ATTEST, said, evidence, facts.railway_seen_at)
    return Result(PASS, "Branches, services and addresses are as they should be.", (), facts.railway_seen_at)


def staging_untested(facts: Facts) -> Result:
    """Whether a person must say that staging works, because nothing asks it."""
    if facts.staging_tests:
        return Result(PENDING, "Staging's smoke tests decide.")
    said = "No smoke test asks staging anything. Add one to the project, or confirm what you looked at."
    return Result(ATTEST, said)


def staging_smoked(facts: Facts) -> Result:
    """Staging answered every smoke test as it serves the candidate now, with its database as it is now."""
    if not facts.staging_tests:
        return staging_untested(facts)
    seen = facts.smoked
    count = f"{len(facts.staging_tests)} request{'s' if len(facts.staging_tests) > 1 else ''}"
    if seen is None or seen.at is None or seen.about != facts.smoke_about:
        said = f"Staging is asked {count} as soon as it serves {facts.release.candidate[:7]} and is migrated."
        return Result(PENDING, said)
    evidence = tuple((str(line.get("label", "")), str(line.get("said", ""))) for line in seen.lines)
    bad = [line for line in seen.lines if line.get("ok") is not True]
    if bad or not seen.ok or len(seen.lines) != len(facts.staging_tests):
        said = f"{bad[0]['label']}: {bad[0]['said']}" if bad else "Staging did not answer every smoke test."
        return Result(FAIL, said, evidence, seen.at)
    if facts.now - seen.at > SMOKE_VALID:
        return Result(PENDING, "Staging was last asked more than 2 h ago; it is being asked again.", evidence, seen.at)
    return Result(PASS, f"Staging answered {count} as expected.", evidence, seen.at)


def staging_smoked_if_tested(facts: Facts) -> Result:
    """The same for checklists without the item: a project without smoke tests, or a hotfix, is not asked."""
    if not facts.staging_tests or facts.release.is_hotfix:
        return Result(PASS, "No smoke test asks staging anything.")
    return staging_smoked(facts)


def smoke_green(facts: Facts) -> Result:
    """The promotion's smoke tests were all answered properly."""
    if facts.release.status == ReleaseStatus.ROLLED_BACK:
        return _rolled_back(facts)
    step = step_of(facts, StepName.SMOKE)
    if step is None or step.status in (StepStatus.PENDING, StepStatus.ACTIVE):
        return Result(PENDING, "The smoke tests have not run yet.")
    evidence = tuple((str(line.get("label", "")), str(line.get("said", ""))) for line in step.evidence)
    if step.status == StepStatus.DONE:
        return Result(PASS, step.sentence, evidence, step.finished_at)
    # A skipped smoke test is not a green one: a person looks, and signs.
    state = ATTEST if step.status == StepStatus.SKIPPED else FAIL
    return Result(state, step.sentence, evidence, step.finished_at)
