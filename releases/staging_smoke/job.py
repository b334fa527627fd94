"""Smoke tests of staging before the promotion: a job asks, and the gate `staging_smoked` reads
what it wrote down.
"""

from datetime import datetime, timedelta

from django.db import transaction

from environments.services.liveness import Live, serves_instead
from environments.smoke.probe import Probe, probe
from portal import audit
from portal.jobs import Finished, JobStatus, Outcome, Requeue, holds
from portal.outbound.parsing import JsonObject
from releases.gates.context import Facts, facts_of
from releases.gates.deployed import staging_healthy
from releases.gates.staging_smoke import AskedTest
from releases.models import StagingSmoke

LOOK = 5.0  # seconds between two looks
REPEAT = timedelta(seconds=30)  # between two rounds while one answers otherwise
ASKED_AGAIN = timedelta(hours=1)  # a good answer is checked once more after this time


def look(job: StagingSmoke, *, now: datetime) -> Outcome:
    """Look once: ask when staging is ready for it and has not been asked as it is now."""
    facts = facts_of(job.release_id, now=now)
    if not facts.release.is_in_preparation or facts.release.merge_commit:
        return Finished(JobStatus.SUCCEEDED, "The release is no longer in preparation.")
    if not facts.staging_tests:
        return Requeue(LOOK, "No smoke tests for staging")
    if (message := _not_yet(facts)) is not None:
        return Requeue(LOOK, message)
    if not _is_due(job, facts, now):
        return Requeue(LOOK)
    return _ask(job, facts, now)


def _not_yet(facts: Facts) -> str | None:
    """Return what staging must come to first; None when it can be asked."""
    healthy = staging_healthy(facts)
    if not healthy.passed:
        return f"Smoke tests run when staging serves the candidate. {healthy.sentence}"
    if facts.release.migrations and facts.staged_at() is None:
        return "Smoke tests run when staging is migrated."
    return None


def _is_due(job: StagingSmoke, facts: Facts, now: datetime) -> bool:
    if job.about != facts.smoke_about or job.asked_at is None:
        return True
    return now - job.asked_at > (ASKED_AGAIN if job.ok else REPEAT)


def _ask(job: StagingSmoke, facts: Facts, now: datetime) -> Outcome:
    """Send every request and write the answers down; one event when they differ."""
    lines = []
    for test in facts.staging_tests:
        if not holds(job):
            return Requeue(0)
        lines.append(_line(test, _probe(test, facts)))
    bad = [line for line in lines if not line["ok"]]
    sentence = f"Staging answered {len(lines)} requests as expected."
    if bad:
        sentence = f"{bad[0]['label']}: {bad[0]['said']}"
    was, about, release = (job.about, job.ok), facts.smoke_about, facts.release
    values = {"about": about, "candidate": release.candidate, "ok": not bad, "lines": lines}
    with transaction.atomic():
        if not job.keep(**values, asked_at=now):
            return Requeue(0)
        if was != (about, not bad):
            audit.record_by_portal(
                "staging.smoked",
                release,
                sentence,
                outcome="failed" if bad else "done",
                data={"candidate": release.candidate},
                now=now,
            )
    return Requeue(LOOK, sentence)


def _line(test: AskedTest, answer: Probe | None) -> JsonObject:
    """Return what is kept of one answer; None: the service has no address."""
    message = answer.sentence if answer else f"{test.service} has no address in staging."
    ok = bool(answer and answer.ok)
    return {"label": f"{test.service} {test.path}", "said": message, "ok": ok}


def _probe(test: AskedTest, facts: Facts) -> Probe | None:
    live = next((live for live in facts.in_staging if live.service == test.service), None)
    if live is None or not live.instance.domains:
        return None
    expects = test.expects_commit and live.at_commits
    return probe(
        live.instance.domains[0],
        path=test.path,
        expected_status=test.expected_status,
        expected_commit=_expected(live, facts.release.candidate) if expects else None,
    )


def _expected(live: Live, candidate: str) -> str:
    """Return the commit that a service must say it runs: an untouched one stays at its own."""
    return live.serving if serves_instead(live, candidate) == "" and live.serving else candidate
