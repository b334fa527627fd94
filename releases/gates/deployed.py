"""Whether the environments run what they should, hold together, and answer."""

from datetime import timedelta

from django.conf import settings

from environments.models import EnvironmentKind
from environments.services.liveness import Live, liveness, unread
from releases.gates.context import Facts
from releases.gates.result import ATTEST, FAIL, PASS, PENDING, Result, and_, outdated, step_of
from releases.models import StepStatus
from releases.models.promotion import StepName
from releases.models.releases import ReleaseStatus

SMOKE_VALID = timedelta(hours=2)


def staging_healthy(facts: Facts) -> Result:
    """Every service of staging serves the candidate."""
    return _all_live(facts, EnvironmentKind.STAGING, facts.release.candidate, "the candidate")


def production_live(facts: Facts) -> Result:
    """Every service of production serves the merge commit."""
    if not facts.release.merge_commit:
        return Result(PENDING, "The release is not merged yet.")
    if facts.release.status == ReleaseStatus.ROLLED_BACK:
        return _rolled_back(facts)
    return _all_live(facts, EnvironmentKind.PRODUCTION, facts.release.merge_commit, "the merge commit")


def _rolled_back(facts: Facts) -> Result:
    """What was true of a release does not hold any more once it was taken back, whatever else serves now."""
    serving = tuple((one.service, one.serving[:7] or "nothing") for one in facts.in_production)
    return Result(FAIL, "The release was rolled back: production runs what ran before it.", serving)


def _all_live(facts: Facts, kind: str, commit: str, what: str) -> Result:
    stale = outdated(facts, "Railway", facts.railway_seen_at, facts.railway_problem)
    if stale:
        return stale
    services = [live for live in facts.live.get(kind, ()) if live.counts]
    if not any(live.at_commits for live in services):
        return Result(FAIL, _none_counts(facts, kind))
    judged = [liveness(live, commit, since=facts.fresh_since) for live in services]
    evidence = tuple((live.service, sentence) for live, (_, sentence) in zip(services, judged, strict=True))
    evidence += _beside(facts, kind, commit)
    seen_at = min((live.instance.seen_at for live in services if live.instance.seen_at), default=None)
    for state in (FAIL, PENDING):
        wrong = [f"{live.service} {said}" for live, (its, said) in zip(services, judged, strict=True) if its == state]
        if wrong:
            return Result(state, f"In {kind}, {'; '.join(wrong)}.", evidence, seen_at)
    return Result(PASS, _serve(services, judged, commit, what), evidence, seen_at)


def _none_counts(facts: Facts, kind: str) -> str:
    """Why there is nothing to look at: then nothing says that the release is there."""
    if not facts.live.get(kind):
        return f"No service was found in {kind}; see the project's configuration and Railway."
    said = f"No service in {kind} is built from {facts.project.repository} and belongs to the release"
    return f"{said}: connect one on Railway, or say under Environments which belong."


def _beside(facts: Facts, kind: str, commit: str) -> tuple[tuple[str, str], ...]:
    """Services that the release does not wait for, as they are."""
    others = [live for live in facts.live.get(kind, ()) if not live.counts]
    said = ((live.service, liveness(live, commit, since=facts.fresh_since)[1]) for live in others)
    return tuple((service, f"{words}; the release does not wait for it") for service, words in said)


def _serve(services: list[Live], judged: list[tuple[str, str]], commit: str, what: str) -> str:
    """What the services serve that all are as they should be; those that rightly stay behind are told apart."""
    ours = [live for live in services if live.at_commits]
    there = [live.service for live in ours if live.serving in ("", commit)]
    behind = [live.service for live in ours if live.service not in there]
    said = [f"{and_(there)} serve{'s' if len(there) == 1 else ''} {what} {commit[:7]}"] if there else []
    if behind:
        watch, serve = ("watches", "it serves") if len(behind) == 1 else ("watch", "they serve")
        said.append(f"nothing that {and_(behind)} {watch} changed since what {serve}")
    said += [f"{live.service} {words}" for live, (_, words) in zip(services, judged, strict=True) if live not in ours]
    return f"{'; '.join(said)}."


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
    blind = [str(live.instance) for rows in facts.live.values() for live in rows if unread(live, facts.fresh_since)]
    if blind:
        said = f"{and_(blind)} could not be read lately, so nothing says that branches and addresses are right."
        return Result(PENDING, said, evidence, facts.railway_seen_at)
    for name, environment in facts.environments.items():
        read_at = environment.variables_at
        if read_at is None or facts.now - read_at > 3 * timedelta(seconds=settings.VARIABLES_SECONDS):
            return Result(PENDING, f"The variables of {name} were not read lately.", evidence, read_at)
    if facts.findings:
        said = f"{facts.findings[0].sentence} A person must say that it is right."
        return Result(ATTEST, said, evidence, facts.railway_seen_at)
    return Result(PASS, "Branches, services and addresses are as they should be.", (), facts.railway_seen_at)


def staging_healthy_unlisted(facts: Facts) -> Result:
    """The same for checklists without the item: a hotfix does not pass through staging."""
    if facts.release.is_hotfix:
        return Result(PASS, "A hotfix does not pass through staging.")
    return staging_healthy(facts)


def environments_coherent_unlisted(facts: Facts) -> Result:
    """The same for releases without the item, which were made before every release had one: nobody can sign."""
    found = environments_coherent(facts)
    if found.state != ATTEST:
        return found
    said = f"{facts.findings[0].sentence} This checklist has no item to confirm that: create the release again."
    return Result(FAIL, said, found.evidence, found.seen_at)


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
