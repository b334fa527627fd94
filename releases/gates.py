"""The rules a release must satisfy: pure functions `Facts -> Result`, three-valued, never green on what is unknown.

A rule answers `pass` only from rows that are fresh and that say so in words it knows. What is missing, stale,
skipped, unreadable or new to us is `pending` or `fail`; what no machine can see is `attest`: a person signs for it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from django.conf import settings

from environments.models import SERVING, UNDER_WAY, VALID
from environments.schema.rehearsal import PHASES
from environments.schema.revisions import put_back
from environments.starting_points import is_elsewhere
from portal.jobs import OPEN, JobStatus
from releases.facts import Facts, Live
from releases.models import ChecklistItem, Phase, Promotion, PromotionStep, Release, ReleaseStatus, StepName, StepStatus

PASS, FAIL, PENDING, ATTEST = "pass", "fail", "pending", "attest"

GREEN_CHECKS = {"success"}
RUNNING_CHECKS = {"queued", "in_progress", "requested", "waiting", "pending", "expected", ""}


@dataclass(frozen=True)
class Result:
    """What a gate says: its state, one sentence for people, its evidence line by line, and how old that is."""

    state: str
    sentence: str
    evidence: tuple[tuple[str, str], ...] = ()
    seen_at: datetime | None = None

    @property
    def passed(self) -> bool:
        return self.state == PASS


Gate = Callable[[Facts], Result]


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
    stale = _stale(facts, "Railway", facts.railway_seen_at, facts.railway_problem)
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


def promotion_open(facts: Facts) -> Result:
    """The promotion pull request is open, at the candidate, and can be merged."""
    release, pull = facts.release, facts.promotion_pull
    stale = _stale(facts, "GitHub", facts.github_seen_at, facts.github_problem)
    if stale:
        return stale
    if release.pull_number is None or pull is None:
        return Result(PENDING, "The promotion pull request is being opened.")
    evidence = (("pull request", f"#{pull.number}"), ("state", pull.state), ("head", pull.head_sha[:7]))
    if pull.state == "merged":
        return Result(FAIL, f"Pull request #{pull.number} was merged around the portal.", evidence)
    if pull.base != facts.project.production_branch:
        said = f"Pull request #{pull.number} goes into {pull.base}, not into {facts.project.production_branch}."
        return Result(FAIL, said, evidence)
    if pull.state != "open":
        return Result(
            FAIL, f"Pull request #{pull.number} is {pull.state}; reopen it, or abandon the release.", evidence
        )
    if pull.seen_at < facts.fresh_since:
        return Result(PENDING, f"Pull request #{pull.number} was last seen too long ago.", evidence, pull.seen_at)
    if pull.draft:
        return Result(FAIL, f"Pull request #{pull.number} is a draft; mark it ready for review.", evidence)
    if pull.head_sha != release.candidate:
        moved = f"Pull request #{pull.number} is at {pull.head_sha[:7]}, the candidate is {release.candidate[:7]}."
        return Result(PENDING, moved, evidence, pull.seen_at)
    if pull.mergeable == "conflicting":
        conflict = f"Pull request #{pull.number} conflicts with {pull.base}; merge {pull.base} into {pull.head} first."
        return Result(FAIL, conflict, evidence, pull.seen_at)
    if pull.mergeable != "mergeable":
        return Result(PENDING, f"GitHub is still working out whether #{pull.number} merges cleanly.", evidence)
    return Result(PASS, f"Pull request #{pull.number} is open at the candidate.", evidence, pull.seen_at)


def ci_green(facts: Facts) -> Result:
    """Every required check on the candidate succeeded, and none of the others failed."""
    stale = _stale(facts, "GitHub", facts.github_seen_at, facts.github_problem)
    if stale:
        return stale
    pull = facts.promotion_pull
    if pull is None or pull.head_sha != facts.release.candidate or pull.seen_at < facts.fresh_since:
        return Result(PENDING, "The candidate's checks have not been read yet.")
    if pull.checks is None:
        return Result(PENDING, "The checks cannot be read with this token; see Connections.")
    if facts.required_contexts is None:
        return Result(PENDING, "The rules of the production branch could not be read, so required checks are unknown.")
    return judge_checks(pull.checks, facts.required_contexts, pull.seen_at)


def judge_checks(checks: list[dict], required: tuple[str, ...], seen_at: datetime) -> Result:
    """Whether these checks of a commit are green: every required one succeeded, and none of the others failed."""
    states: dict[str, str] = {}
    for check in checks:
        name, word = str(check.get("name", "")), str(check.get("state", "")).lower()
        if name == settings.STATUS_CONTEXT:
            continue
        # Several runs of one name: the worst of them counts.
        states[name] = max(states.get(name, word), word, key=_badness)
    evidence = tuple((name, word or "pending") for name, word in sorted(states.items()))
    missing = [name for name in required if name not in states]
    unlucky = [name for name, word in states.items() if word not in GREEN_CHECKS | RUNNING_CHECKS]
    failed = [name for name in unlucky if name in required or states[name] not in {"neutral", "skipped"}]
    running = [name for name, word in states.items() if word in RUNNING_CHECKS]
    if failed:
        said = and_(f"{name} ({states[name].replace('_', ' ')})" for name in failed)
        return Result(FAIL, f"Not green: {said}.", evidence, seen_at)
    if missing:
        return Result(PENDING, f"Required but not reported yet: {and_(missing)}.", evidence, seen_at)
    if running:
        return Result(PENDING, f"Still running: {and_(running)}.", evidence, seen_at)
    if not states:
        return Result(PENDING, "No check has reported on the candidate, so nothing says that it is green.")
    return Result(PASS, f"{and_(states)} passed; {len(required)} required.", evidence, seen_at)


def _badness(word: str) -> int:
    return 0 if word in GREEN_CHECKS else 1 if word in RUNNING_CHECKS else 2


def migrations_ready(facts: Facts) -> Result:
    """The release brings no migrations, or staging has run exactly these files and was observed long enough."""
    release = facts.release
    if release.migrations_problem:
        return Result(FAIL, release.migrations_problem)
    if not facts.project.alembic:
        return Result(PASS, "The project has no Alembic migrations.")
    if not release.migrations:
        return Result(PASS, "This release brings no migrations.")
    files = tuple((revision["id"], revision["sha256"][:12]) for revision in release.migrations)
    count = f"{len(release.migrations)} migration{'s' if len(release.migrations) > 1 else ''}"
    open_run = next((run for run in facts.runs if run.is_open), None)
    if open_run:
        return Result(PENDING, f"Staging is being migrated to {', '.join(open_run.target)}.", files)
    staged_at = facts.staged_at()
    edited = facts.edited_since_staged()
    if edited:
        return Result(FAIL, _edited(facts, edited), files)
    if release.is_hotfix:
        return _hotfix_staged(facts, staged_at, files) or Result(PASS, f"{count} run in staging, same files.", files)
    if staged_at is None:
        last = facts.runs[0] if facts.runs else None
        if last and last.status != "succeeded" and last.commit == release.candidate:
            return Result(FAIL, f"Migrating staging ended as {last.get_status_display()}: {last.sentence}", files)
        staging = facts.environments.get("staging")
        if staging and sorted(staging.revisions or ()) == sorted(release.heads):
            said = f"Staging's database is at the release's head, but no run here has proven it with these {count}."
            return Result(PENDING, f"{said} Press Migrate staging.", files)
        return Result(PENDING, f"{count} wait to be applied in staging.", files)
    staging = facts.environments.get("staging")
    if staging is None or staging.revisions is None:
        return Result(PENDING, "Staging's database could not be read, so its revision is not known.", files)
    if staging.revisions_at is None or staging.revisions_at < facts.fresh_since:
        return Result(PENDING, "Staging's database was last read too long ago.", files, staging.revisions_at)
    if sorted(staging.revisions) != sorted(release.heads):
        now_at = ", ".join(staging.revisions) or "nothing"
        return Result(FAIL, f"Staging's database is at {now_at}, the release needs {', '.join(release.heads)}.", files)
    return _soaking(facts, staged_at, files) or Result(
        PASS, f"{count} applied in staging, same files, soaked.", files, staged_at
    )


def _soaking(facts: Facts, staged_at: datetime, files: tuple[tuple[str, str], ...]) -> Result | None:
    """The answer while staging has not been observed long enough."""
    soaked, needed = facts.now - staged_at, timedelta(minutes=facts.project.soak_minutes)
    if soaked >= needed:
        return None
    minutes = f"{int(soaked.total_seconds() // 60)} of {facts.project.soak_minutes} minutes"
    return Result(PENDING, f"Staging has soaked {minutes}.", files, staged_at)


def _hotfix_staged(facts: Facts, staged_at: datetime | None, files: tuple[tuple[str, str], ...]) -> Result | None:
    """What is missing until production may run a hotfix's files. Staging may be ahead: only the files must have run."""
    if staged_at is not None:
        return _soaking(facts, staged_at, files)
    waiting = [one["id"] for one in facts.release.migrations if (one["id"], one["sha256"]) not in facts.staged]
    last, staging = (facts.runs[0] if facts.runs else None), facts.project.staging_branch
    failed = last is not None and last.commit == facts.release.candidate and last.status in ("failed", "needs_person")
    tried = (
        f" Migrating staging with it ended as {last.get_status_display()}: {last.sentence}" if failed and last else ""
    )
    if same_databases(facts) and not failed:
        return Result(PENDING, f"Staging has not run {and_(waiting)}: press Migrate staging.", files)
    said = f"Staging has not run {and_(waiting)}, and production runs only what staging ran.{tried}"
    mend = f"Bring the same files to {staging} by a pull request, joined with its own heads, and migrate staging."
    return Result(FAIL if failed else PENDING, f"{said} {mend}", files)


def same_databases(facts: Facts) -> bool:
    """Whether both databases are at the same revisions, so that staging's knows all that the hotfix's branch knows."""
    both = [facts.environments.get(kind) for kind in ("staging", "production")]
    found = [sorted(one.revisions) for one in both if one is not None and one.revisions is not None]
    return len(found) == 2 and found[0] == found[1]


def _edited(facts: Facts, paths: list[str]) -> str:
    """Which files were edited after staging ran them, and the command that puts them back as they ran."""
    commits = {one["path"]: facts.ran_at.get(one["id"], "") for one in facts.release.migrations}
    backs = [put_back(commits[path], [path]) for path in paths if commits.get(path)]
    back = f" with `{' && '.join(backs)}`" if backs else ""
    return f"Edited after staging ran it: {', '.join(paths)}. Put it back{back}, or run it anew from below in staging."


def migration_risks(facts: Facts) -> Result:
    """What the migrations will do is known, and an approver has accepted what can go wrong with them."""
    release, plan = facts.release, facts.planned
    if not facts.project.alembic or not release.migrations or release.migrations_problem:
        return Result(PASS, "There are no migrations to look for risks in.")
    if plan is None or plan.status in OPEN:
        said = plan.sentence if plan and plan.sentence else "It is being worked out what the migrations will do."
        return Result(PENDING, said)
    if plan.status != JobStatus.SUCCEEDED:
        return Result(FAIL, plan.sentence)
    if plan.met.get("order", facts.project.schema_order) != facts.project.schema_order:
        return Result(PENDING, "The order of deploying and migrating was changed; the plan is being made anew.")
    if not {(one["id"], one["sha256"]) for one in release.migrations} <= plan.files:
        return Result(PENDING, "The plan is not about these migration files; it is being made anew.")
    production = facts.environments.get("production")
    at = production.revisions if production else None
    if at is not None and is_elsewhere(plan.starts, "production", at, release.heads):
        return Result(PENDING, "Production's database is elsewhere than the plan says; it is being made anew.")
    evidence = tuple((risk.revision, f"{risk.severity}: {risk.sentence}") for risk in plan.risks)
    waiting = plan.unaccepted
    if waiting:
        risks = [risk for step in waiting for risk in plan.asking(step)]
        more = f" (and {len(risks) - 1} more)" if len(risks) > 1 else ""
        said = f"{risks[0].revision}: {risks[0].sentence}{more} An approver has to accept it, or the file to change."
        return Result(ATTEST, said, evidence)
    words = {one.who: one for step in plan.steps if plan.asking(step) and (one := plan.acceptance(step))}
    if words:
        said = "; ".join(f"{who}: “{one.reason}”" for who, one in words.items())
        return Result(PASS, f"Risks accepted by {said}", evidence)
    return Result(PASS, "No migration brings a risk that somebody must accept.", evidence)


def rehearsed(facts: Facts) -> Result:
    """Exactly these files ran up, down and up again over a copy of production's schema, from where it is now."""
    release = facts.release
    if not facts.project.alembic or not release.migrations or release.migrations_problem:
        return Result(PASS, "There are no migrations to rehearse.")
    production = facts.environments.get("production")
    if production is None or production.revisions is None or production.revisions_at is None:
        return Result(PENDING, "Production's database has not been read yet.")
    if production.revisions_at < facts.fresh_since:
        return Result(PENDING, "Production's database was last read too long ago.", (), production.revisions_at)
    if sorted(production.revisions) == sorted(release.heads):
        return Result(PASS, "Production's database is at the release's head: nothing is left to rehearse.")
    row = next((one for one in facts.rehearsals if one.kind == "production"), None)
    if row is None or row.status in OPEN:
        said = PHASES.get(row.phase, "") if row else ""
        return Result(PENDING, f"It is being rehearsed{f': {said.lower()}' if said else ''}.")
    evidence = (*(("warning", one) for one in row.warnings), ("rehearsal", str(row.pk)))
    if row.status == JobStatus.CANCELLED:
        return Result(PENDING, "The rehearsal was cancelled; start it again from its page.", evidence, row.finished_at)
    if sorted(row.start or ()) != sorted(production.revisions) and row.status != JobStatus.NEEDS_PERSON:
        return Result(PENDING, "Production's database has moved since; it is rehearsed anew.", evidence)
    if row.finished_at is None or facts.now - row.finished_at > VALID:
        return Result(PENDING, "The rehearsal is older than a day; it is being done anew.", evidence, row.finished_at)
    if row.status == JobStatus.FAILED:
        return Result(FAIL, f"The rehearsal failed: {row.sentence}", evidence, row.finished_at)
    if row.status != JobStatus.SUCCEEDED:
        return Result(ATTEST, f"{row.sentence} A person must say that it was rehearsed.", evidence, row.finished_at)
    ran = dict(row.files)
    if any(ran.get(one["id"], one["sha256"]) != one["sha256"] for one in release.migrations):
        return Result(PENDING, "What was rehearsed are not these migration files.", evidence, row.finished_at)
    return Result(PASS, row.sentence, evidence, row.finished_at)


def environments_coherent(facts: Facts) -> Result:
    """Nothing is open among the findings about staging and production; what cannot be seen needs a signature."""
    stale = _stale(facts, "Railway", facts.railway_seen_at, facts.railway_problem)
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


def approved(facts: Facts) -> Result:
    """Enough people, none of whom cut the release, signed exactly this content."""
    needed = facts.project.required_approvals
    content = content_digest(facts.release)
    given = [one for one in facts.approvals if one.content == content and one.user.is_active]
    counted = [one for one in given if one.user_id != facts.release.cut_by_id]
    evidence = tuple((str(one.user), one.comment or "approved") for one in counted)
    if len(counted) >= needed:
        said = f"Approved by {and_(str(one.user) for one in counted)}." if counted else "No approval is required."
        return Result(PASS, said, evidence)
    missing = needed - len(counted)
    return Result(PENDING, f"{missing} approval{'s' if missing > 1 else ''} missing.", evidence)


def not_frozen(facts: Facts) -> Result:
    """No freeze is in force."""
    if facts.freeze:
        return Result(FAIL, f"Promotions are frozen: {facts.freeze}")
    return Result(PASS, "Promotions are not frozen.")


def production_at_head(facts: Facts) -> Result:
    """Production's database reports exactly the release's heads."""
    if not facts.project.alembic:
        return Result(PASS, "The project has no Alembic migrations.")
    if not facts.release.merge_commit:
        return Result(PENDING, "The release is not merged yet.")
    production = facts.environments.get("production")
    if production is None or production.revisions is None or production.revisions_at is None:
        problem = production.revisions_problem if production else ""
        return Result(PENDING, problem or "Production's database has not been read yet.")
    if production.revisions_at < max(facts.release.candidate_at, facts.fresh_since):
        return Result(PENDING, "Production's database was last read too long ago.", (), production.revisions_at)
    now_at = ", ".join(production.revisions) or "nothing"
    if sorted(production.revisions) != sorted(facts.release.heads):
        wanted = ", ".join(facts.release.heads)
        return Result(FAIL, f"Production's database is at {now_at}, not at {wanted}.", (), production.revisions_at)
    return Result(PASS, f"Production's database is at {now_at}.", (), production.revisions_at)


def smoke_green(facts: Facts) -> Result:
    """The promotion's smoke tests were all answered properly."""
    if facts.release.status == ReleaseStatus.ROLLED_BACK:
        return _rolled_back(facts)
    step = _step(facts, StepName.SMOKE)
    if step is None or step.status in (StepStatus.PENDING, StepStatus.ACTIVE):
        return Result(PENDING, "The smoke tests have not run yet.")
    evidence = tuple((str(line.get("label", "")), str(line.get("said", ""))) for line in step.evidence)
    if step.status == StepStatus.DONE:
        return Result(PASS, step.sentence, evidence, step.finished_at)
    # A skipped smoke test is not a green one: a person looks, and signs.
    state = ATTEST if step.status == StepStatus.SKIPPED else FAIL
    return Result(state, step.sentence, evidence, step.finished_at)


def staging_equals_main(facts: Facts) -> Result:
    """Both long-lived branches are at the same commit, or were when this release was synchronised."""
    step = _step(facts, StepName.SYNC_STAGING)
    if step is not None and step.status == StepStatus.DONE:
        return Result(PASS, step.sentence, (), step.finished_at)
    stale = _stale(facts, "GitHub", facts.github_seen_at, facts.github_problem)
    if stale:
        return stale
    names = f"{facts.project.staging_branch} and {facts.project.production_branch}"
    if not facts.release.merge_commit:
        return Result(PENDING, "The release is not merged yet.")
    if facts.staging_head and facts.staging_head == facts.production_head:
        return Result(PASS, f"{names} are both at {facts.staging_head[:7]}.", (), facts.github_seen_at)
    state = FAIL if step is not None and step.status in (StepStatus.FAILED, StepStatus.SKIPPED) else PENDING
    return Result(state, f"{names} are not at the same commit yet.", (), facts.github_seen_at)


def back_merged(facts: Facts) -> Result:
    """Staging holds what the hotfix brought to production."""
    release, main, staging = facts.release, facts.project.production_branch, facts.project.staging_branch
    if not release.merge_commit:
        return Result(PENDING, "The hotfix is not merged yet.")
    known, commit = release.back_merge, release.merge_commit[:7]
    number = known.get("number")
    evidence = (("pull request", f"#{number}"),) if number else ()
    if known.get("contained"):
        return Result(PASS, f"{staging} holds {commit}.", evidence)
    stale = _stale(facts, "GitHub", facts.github_seen_at, facts.github_problem)
    if stale:
        return stale
    if facts.staging_head and facts.staging_head == facts.production_head:
        return Result(PASS, f"{staging} equals {main}.", evidence, facts.github_seen_at)
    if number and known.get("state") == "closed":
        said = f"Pull request #{number} was closed, and {staging} does not hold {commit}: open a back-merge anew."
        return Result(FAIL, f"{said} The page Environments does that.", evidence)
    if not number:
        said = f"{staging} does not hold {commit} yet: open a back-merge on the page Environments."
        return Result(PENDING, said)
    said = f"Pull request #{number} brings {commit} to {staging}: merge it, with a merge commit."
    return Result(PENDING, said, evidence)


GATES: dict[str, Gate] = {
    "staging_healthy": staging_healthy,
    "promotion_open": promotion_open,
    "ci_green": ci_green,
    "migrations_ready": migrations_ready,
    "rehearsed": rehearsed,
    "environments_coherent": environments_coherent,
    "production_live": production_live,
    "production_at_head": production_at_head,
    "smoke_green": smoke_green,
    "staging_equals_main": staging_equals_main,
    "back_merged": back_merged,
}
# Those among them that may ask for a person's word: they look at no more than `releases.doubts` reads.
ATTESTED: dict[str, Callable[[Any], Result]] = {
    "environments_coherent": environments_coherent,
    "rehearsed": rehearsed,
    "smoke_green": smoke_green,
}
# Asked before every promotion, also when the checklist does not name them.
ALWAYS: dict[str, Gate] = {
    "promotion_open": promotion_open,
    "ci_green": ci_green,
    "migrations_ready": migrations_ready,
    "migration_risks": migration_risks,
    "approved": approved,
    "not_frozen": not_frozen,
}


@dataclass(frozen=True)
class Line:
    """A checklist item, or an always-asked gate without one, as it stands now."""

    item: ChecklistItem | None
    gate: str
    text: str
    result: Result

    @property
    def done(self) -> bool:
        return self.result.passed


def lines(facts: Facts, phase: str) -> tuple[Line, ...]:
    """The checklist of one phase with what each line says now, and the always-asked gates it does not name."""
    shown = [item for item in facts.items if item.phase == phase and _counts(item, facts)]
    if phase == Phase.BEFORE and facts.release.merge_commit and facts.promotion:
        return _as_promoted(shown, facts.promotion)
    listed = tuple(Line(item, item.gate, item.text, _item_result(item, facts)) for item in shown)
    if phase != Phase.BEFORE:
        return listed
    named = {item.gate for item in shown}
    rest = {name: gate for name, gate in ALWAYS.items() if name not in named}
    # Rules that ask nothing of this release stay out of sight.
    extra = [(name, gate(facts)) for name, gate in rest.items()]
    return listed + tuple(
        Line(None, name, name.replace("_", " ").capitalize(), result)
        for name, result in extra
        if not result.passed or (name == "approved" and facts.project.required_approvals)
    )


def _as_promoted(shown: list[ChecklistItem], promotion: Promotion) -> tuple[Line, ...]:
    """What the lines said when the promotion was started: after the merge they are history, not rules."""
    by_text = {item.text: item for item in shown}
    return tuple(
        Line(
            by_text.get(one["text"]),
            "",
            one["text"],
            Result(one["state"], one["sentence"], (), promotion.created_at),
        )
        for one in promotion.gates
    )


def _counts(item: ChecklistItem, facts: Facts) -> bool:
    return item.condition == "always" or bool(facts.release.migrations or facts.release.migrations_problem)


def _item_result(item: ChecklistItem, facts: Facts) -> Result:
    if not item.gate:
        return _tick_result(item, facts, Result(PENDING, "Waits for a person's tick."))
    gate = GATES.get(item.gate)
    if gate is None:
        return Result(FAIL, f"The checklist names a gate that does not exist: {item.gate}.")
    result = gate(facts)
    return _tick_result(item, facts, result) if result.state == ATTEST else result


def _tick_result(item: ChecklistItem, facts: Facts, otherwise: Result) -> Result:
    if not item.is_ticked or item.ticked_candidate != facts.release.candidate:
        return otherwise
    said = f"{item.ticked_by}: “{item.note}”" if item.note else f"{item.ticked_by}"
    return Result(PASS, said, otherwise.evidence, item.ticked_at)


@dataclass(frozen=True)
class Standing:
    """The whole of a release now: both halves of the checklist and the verdict."""

    before: tuple[Line, ...]
    after: tuple[Line, ...]

    @property
    def missing(self) -> tuple[Line, ...]:
        return tuple(line for line in self.before if not line.done)

    @property
    def ready(self) -> bool:
        return not self.missing

    @property
    def verified(self) -> bool:
        return all(line.done for line in self.after)


def stand(facts: Facts) -> Standing:
    """Where `facts.release` stands."""
    return Standing(lines(facts, Phase.BEFORE), lines(facts, Phase.AFTER))


def verdict(facts: Facts, standing: Standing) -> tuple[str, str]:
    """State and sentence of the commit status for the candidate (GitHub: pending, failure, success)."""
    release = facts.release
    if release.status == ReleaseStatus.ABANDONED:
        return "failure", f"Release {release.name} was abandoned."
    if release.status == ReleaseStatus.ROLLED_BACK:
        return "failure", f"Release {release.name} was rolled back."
    if release.merge_commit:
        return "success", f"Release {release.name} was promoted."
    failing = [line for line in standing.missing if line.result.state == FAIL]
    if failing:
        return "failure", failing[0].result.sentence
    if standing.missing:
        count = len(standing.missing)
        things = "1 thing stands" if count == 1 else f"{count} things stand"
        return (
            "pending",
            f"{things} between release {release.name} and production. {standing.missing[0].result.sentence}",
        )
    return "success", f"Release {release.name} is ready."


def content_digest(release: Release) -> str:
    """What an approval is bound to: the candidate commit and every new revision file, hex SHA-256."""
    lines_ = [release.candidate, *(f"{one['id']}={one['sha256']}" for one in release.migrations)]
    return sha256("\n".join(lines_).encode()).hexdigest()


def _step(facts: Facts, name: str) -> PromotionStep | None:
    return next((step for step in facts.steps if step.name == name), None)


def _stale(facts: Facts, source: str, seen_at: datetime | None, problem: str) -> Result | None:
    """The `pending` answer when what we know of `source` is missing or too old to prove anything."""
    if seen_at is None:
        return Result(PENDING, problem or f"{source} has not been read yet.")
    if seen_at < facts.fresh_since:
        minutes = int((facts.now - seen_at).total_seconds() // 60)
        return Result(PENDING, problem or f"{source} was last read {minutes} min ago.", (), seen_at)
    return None


def and_(names: Iterable[str]) -> str:
    """“a”, “a and b”, “a, b and c”."""
    listed = list(names)
    return " and ".join([", ".join(listed[:-1]), listed[-1]] if len(listed) > 1 else listed)
