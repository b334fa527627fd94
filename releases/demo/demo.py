"""Ships a release without a browser, through the same actions, jobs and worker that people use."""

import time
from collections.abc import Callable

from django.contrib.auth.models import User

from environments.clients import railway_of
from environments.databases.address import url_of
from environments.git_mirrors.clone import mirror_of
from environments.models import LONG_LIVED, Branch, Environment, Project, databases_of, places_of
from environments.schema.history import reader as revisions
from environments.schema.run import database
from portal.audit import verification as audit_verification
from portal.jobs import OPEN
from portal.models.audit import AuditEvent
from portal.ui.actions import Refused
from releases import gates
from releases.approvals import actions as approvals_actions
from releases.checklist import actions as checklist_actions
from releases.demo.report import DemoFailed, Report, Say
from releases.demo.signing import Signing
from releases.gates.context import facts_of
from releases.lifecycle import actions as lifecycle_actions
from releases.models import StepStatus
from releases.models.checklist import Phase
from releases.models.promotion import PromotionStep
from releases.models.releases import Release, ReleaseStatus
from releases.promotion import actions as promotion_actions


def ship(project: Project, *, say: Say, seconds: float) -> Report:
    """Take what is on staging through a whole release; the report says what went wrong."""
    report, started = Report(), time.monotonic()
    try:
        _ship(project, report, say, started + seconds)
        report.ok = True
    except (DemoFailed, Refused) as problem:
        report.problem = str(problem)
    report.seconds = round(time.monotonic() - started, 2)
    verification = audit_verification.verify()
    report.audit = {
        "events": AuditEvent.objects.count(),
        "verified": verification.ok,
        "sentence": verification.sentence,
    }
    report.ok = report.ok and verification.ok
    return report


def _ship(project: Project, report: Report, say: Say, deadline: float) -> None:
    people = {user.get_username(): user for user in User.objects.all()}
    manager = people["alice"]
    _await(
        lambda: _synced(project), "the first reading of GitHub and Railway", say, deadline, project
    )
    _note(project, report, "before")
    release = _cut(project, manager, report, say, deadline)
    _migrate_staging(release, manager, say, deadline)
    _tick(release, Phase.BEFORE, manager, say)
    approvals_actions.approve(release, actor=people["bob"], comment="Read in the demo.")
    say("approved by bob")
    signing = Signing(release, manager, people["bob"], say)
    _await(signing.ready, "the gates", say, deadline, project, lambda: _missing(release))
    promotion_actions.promote(release, actor=manager)
    say("promotion started")
    _follow(release, report, say, deadline)
    _tick(release, Phase.AFTER, manager, say)
    _await(
        lambda: _status(release) == ReleaseStatus.DONE,
        "the items after promotion",
        say,
        deadline,
        project,
    )
    release.refresh_from_db()
    report.status, report.merge_commit = release.status, release.merge_commit
    _note(project, report, "after")
    _judge(release, report)


def _note(project: Project, report: Report, when: str) -> None:
    """Keep where databases and branches are, `when` being before or after."""
    for kind, heads in _revisions(project).items():
        report.revisions.setdefault(kind, {})[when] = heads
    for name, sha in _heads(project).items():
        report.branches.setdefault(name, {})[when] = sha


def _cut(project: Project, manager: User, report: Report, say: Say, deadline: float) -> Release:
    """Create the release and wait until it is collected; raises `DemoFailed`."""
    release = lifecycle_actions.cut(project, actor=manager, notes="What has gathered on staging.")
    report.release, report.candidate = release.name, release.candidate
    say(f"cut {release.name} at {release.candidate[:7]}")
    what = "commits, migrations and the promotion pull request"
    _await(lambda: _collected(release), what, say, deadline, project)
    release.refresh_from_db()
    report.migrations = [migration["id"] for migration in release.migrations]
    size = f"{release.commit_count} commits, {len(release.migrations)} migrations"
    say(f"collected {size}, pull request #{release.pull_number}")
    if release.migrations_problem:
        raise DemoFailed(release.migrations_problem)
    _found_something(release)
    return release


def _found_something(release: Release) -> None:
    """Raise `DemoFailed`, with the places that were searched, if a path leads to no revision."""
    mirror = mirror_of(release.project)
    for place in databases_of(release.project):
        history = revisions.read(mirror, release.candidate, place.alembic)
        if not history.revisions:
            raise DemoFailed(revisions.why_empty(mirror, release.candidate, history))


def _judge(release: Release, report: Report) -> None:
    """Require what must be true now, read from git and the databases and not from our rows."""
    heads = {name: seen["after"] for name, seen in report.branches.items()}
    if set(heads.values()) != {release.merge_commit}:
        wanted_at = f"at the merge commit {release.merge_commit[:7]}"
        raise DemoFailed(f"Both branches should be {wanted_at}, they are at {heads}.")
    for place in databases_of(release.project):
        kinds = [" ".join(filter(None, [kind, place.called])) for kind in LONG_LIVED]
        wanted = sorted(release.heads_of[str(place.pk)])
        if any(report.revisions[kind]["after"] != wanted for kind in kinds):
            now_at = f"they are at {report.revisions}"
            raise DemoFailed(f"Both databases should be at {wanted}, {now_at}.")


def _migrate_staging(release: Release, manager: User, say: Say, deadline: float) -> None:
    if not release.migrations:
        say("no migrations in this release")
        return
    run = lifecycle_actions.migrate_staging(release, actor=manager)
    say(f"migrating staging to {', '.join(release.heads)}")

    def ended() -> bool:
        run.refresh_from_db()
        return run.status not in OPEN

    _await(ended, "staging's migration", say, deadline, release.project, lambda: run.sentence)
    if run.status != "succeeded":
        raise DemoFailed(f"Migrating staging ended as {run.status}: {run.sentence}")
    say(f"staging migrated: {len(run.applied)} revisions")


def _tick(release: Release, phase: str, manager: User, say: Say) -> None:
    for item in release.items.filter(phase=phase, gate=""):
        checklist_actions.tick(item, actor=manager, note="Looked at in the demo.")
        say(f"ticked “{item.text}”")


def _follow(release: Release, report: Report, say: Say, deadline: float) -> None:
    """Print the promotion's steps as they happen, until it succeeds or stops."""
    promotion = release.promotions.get(status__in=[*OPEN, "succeeded", "failed", "needs_person"])
    message: dict[int, str] = {}
    while True:
        promotion.refresh_from_db()
        steps = list(promotion.steps.all())
        for number, step in enumerate(steps, start=1):
            line = f"{step.get_status_display()} {step.sentence}".rstrip()
            if step.status != StepStatus.PENDING and message.get(step.pk) != line:
                say(f"[{number}/{len(steps)}] {step}: {line}")
                message[step.pk] = line
        if promotion.status not in OPEN:
            break
        if time.monotonic() > deadline:
            raise DemoFailed(f"The promotion timed out: {promotion.sentence}")
        time.sleep(0.2)
    report.steps = [
        {
            "name": step.name,
            "status": step.status,
            "seconds": _seconds(step),
            "sentence": step.sentence,
        }
        for step in steps
    ]
    if promotion.status != "succeeded":
        raise DemoFailed(promotion.sentence)


def _seconds(step: PromotionStep) -> float | None:
    if not step.started_at or not step.finished_at:
        return None
    return round((step.finished_at - step.started_at).total_seconds(), 2)


def _await(
    ready: Callable[[], bool],
    what: str,
    say: Say,
    deadline: float,
    project: Project,
    detail: Callable[[], str] = str,
) -> None:
    spoken = time.monotonic()
    while not ready():
        if time.monotonic() > deadline:
            why = detail() or _problems(project)
            raise DemoFailed(f"Waited too long for {what}. {why}".strip())
        if time.monotonic() - spoken > 5:
            say(f"… waiting for {what}. {detail() or _problems(project)}".strip())
            spoken = time.monotonic()
        time.sleep(0.2)


def _problems(project: Project) -> str:
    fresh = Project.objects.select_related("github_sync", "railway_sync").get(pk=project.pk)
    return " ".join(filter(None, [fresh.github_sync.problem, fresh.railway_sync.problem]))


def _missing(release: Release) -> str:
    return " ".join(
        line.result.sentence for line in gates.readiness_of(facts_of(release.pk)).missing
    )


def _synced(project: Project) -> bool:
    heads = Branch.objects.filter(project=project).exclude(head="").count()
    environments = Environment.objects.present().long_lived().filter(project=project).count()
    return heads == 2 and environments == 2


def _collected(release: Release) -> bool:
    fresh = Release.objects.get(pk=release.pk)
    return fresh.collected == fresh.candidate and fresh.pull_number is not None


def _status(release: Release) -> str:
    return Release.objects.get(pk=release.pk).status


def _revisions(project: Project) -> dict[str, list[str]]:
    """Return what each database reports now, by kind of environment (and name, of several)."""
    rows = Environment.objects.present().long_lived().filter(project=project)
    places = places_of(rows.select_related("project"), databases_of(project))
    return {
        " ".join(filter(None, [place.environment.kind, place.database.called])): sorted(
            database.current(url_of(place, railway_of(project)), table=place.database.version_table)
        )
        for place in places
    }


def _heads(project: Project) -> dict[str, str]:
    """Return the long-lived branches, read from git now."""
    mirror = mirror_of(project)
    mirror.fetch()
    return {
        name: mirror.head(name) or ""
        for name in (project.staging_branch, project.production_branch)
    }
