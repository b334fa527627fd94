"""Whether staging and production answer their smoke tests."""

from datetime import timedelta

from portal.words import number_of
from releases.gates.context import Facts
from releases.gates.deployed import rolled_back
from releases.gates.registry import gate
from releases.gates.result import ATTEST, FAIL, PASS, PENDING, Result, step_of
from releases.models import StepStatus
from releases.models.promotion import StepName
from releases.models.releases import ReleaseStatus

SMOKE_VALID = timedelta(hours=2)


def _is_not_asked(facts: Facts) -> str:
    has_tests = facts.staging_tests and not facts.release.is_hotfix
    return "" if has_tests else "No smoke tests for staging"


@gate("Staging smoke tests", always=True, sign_off=True, exempt=_is_not_asked)
def staging_smoked(facts: Facts) -> Result:
    """Require that staging answered every smoke test, serving and migrated as it is now."""
    if not facts.staging_tests:
        message = "No smoke tests for staging. Add one to the project, or confirm what you checked."
        return Result(ATTEST, message)
    seen = facts.smoked
    count = number_of(len(facts.staging_tests), "request")
    if seen is None or seen.asked_at is None or seen.about != facts.smoke_about:
        message = (
            f"Staging's smoke tests ({count}) run when it serves {facts.release.candidate[:7]} "
            "and its database is migrated."
        )
        return Result(PENDING, message)
    evidence = tuple((str(line.get("label", "")), str(line.get("said", ""))) for line in seen.lines)
    bad = [line for line in seen.lines if line.get("ok") is not True]
    if bad or not seen.ok or len(seen.lines) != len(facts.staging_tests):
        message = f"{bad[0]['label']}: {bad[0]['said']}" if bad else "Staging failed a smoke test."
        return Result(FAIL, message, evidence, seen.asked_at)
    if facts.now - seen.asked_at > SMOKE_VALID:
        message = "The last smoke tests of staging are older than 2 hours. Running again…"
        return Result(PENDING, message, evidence, seen.asked_at)
    return Result(PASS, f"Staging passed {count}.", evidence, seen.asked_at)


@gate("Smoke tests green", sign_off=True)
def smoke_green(facts: Facts) -> Result:
    """Require that the promotion's smoke tests were all answered properly."""
    if facts.release.status == ReleaseStatus.ROLLED_BACK:
        return rolled_back(facts)
    step = step_of(facts, StepName.SMOKE)
    if step is None or step.status in (StepStatus.PENDING, StepStatus.ACTIVE):
        return Result(PENDING, "The smoke tests have not run yet.")
    evidence = tuple(
        (str(line.get("label", "")), str(line.get("said", ""))) for line in step.evidence
    )
    if step.status == StepStatus.DONE:
        return Result(PASS, step.sentence, evidence, step.finished_at)
    # A skipped smoke test is not a green one: a person looks, and signs.
    state = ATTEST if step.status == StepStatus.SKIPPED else FAIL
    return Result(state, step.sentence, evidence, step.finished_at)
