"""The steps of a promotion.

Each reads the current state first and writes at most once each time.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from environments.branches import fast_forward
from environments.clients import github_of, railway_of
from environments.databases.actions import start_migration
from environments.findings import out_of_band
from environments.models import DeployOrder, EnvironmentKind, MigrationRun
from environments.railway import Railway
from environments.railway_mirror import sync as environment_sync
from environments.services import watching
from environments.services.liveness import Live, serves_instead
from portal import audit
from portal.jobs import OPEN, Finished, JobStatus, Outcome
from portal.words import number_of
from releases import gates
from releases.gates.context import Facts, facts_of
from releases.gates.databases import DatabaseFacts
from releases.gates.deployed import production_live
from releases.github_mirror import sync
from releases.models.promotion import Promotion, PromotionStep, StepName
from releases.models.pull_requests import GitHubSync
from releases.models.releases import Release, ReleaseStatus
from releases.promotion import clearance
from releases.promotion.merge import merge
from releases.rollback import assessment as rollback_assessment
from releases.steps import engine as steps_engine
from releases.steps.engine import Done, Look, Stop, Wait

Step = Callable[[PromotionStep, Facts], Look]


def advance(job: Promotion, *, now: datetime) -> Outcome:
    """Let the current step look once, and write down what it saw."""
    done = steps_engine.advance(
        job, lambda step: STEPS[StepName(step.name)], finish=_finish, keep=_keep_merge, now=now
    )
    # A step began or ended: the old assessment no longer counts.
    if isinstance(done, Finished) or not done.seconds:
        rollback_assessment.hurry(job.release, now=now)
    return done


def _keep_merge(release: Release, look: Done) -> None:
    if look.merge_commit:
        Release.objects.filter(pk=release.pk).update(merge_commit=look.merge_commit)


def _finish(job: Promotion, now: datetime) -> Outcome:
    """All steps are behind us: production runs the release, and what remains is to look at it."""
    with transaction.atomic():
        release = Release.objects.locked(job.release_id)
        if release.status == ReleaseStatus.PROMOTING:
            release.move_to(ReleaseStatus.VERIFYING, now=now)
            rollback_assessment.hurry(release, now=now)
            message = f"{release.name} is in production; the items after promotion are open."
            audit.record_by_portal("release.in_production", release, message, now=now)
    return Finished(JobStatus.SUCCEEDED, "All steps are done.")


def deploy(step: PromotionStep, facts: Facts) -> Look:
    """Wait until every service of production serves the merge commit; name one that does not."""
    project, release = facts.project, facts.release
    railway = railway_of(project)
    tree = railway.project(project.railway_project_id)
    environment_sync.apply(project, tree, now=facts.now)
    watching.settle(project, [release.merge_commit])
    facts = facts_of(release.pk, now=facts.now)
    result = production_live(facts)
    evidence = steps_engine.told(result.evidence)
    if result.passed:
        return Done(result.sentence, evidence)
    services = tuple(live for live in facts.in_production if live.at_commits)
    if step.deploy_wanted and services:
        return _deploy_next(step, facts, railway, services)
    waited = steps_engine.waited(step, facts.now)
    broken = result.state == gates.FAIL and any(
        live.is_broken_at(release.merge_commit) for live in services
    )
    late = result.state == gates.FAIL and waited.total_seconds() > settings.DEPLOY_GRACE_SECONDS
    if broken or late or waited > timedelta(minutes=project.deploy_minutes):
        world = "The merge is done. Production partly runs the release." if services else ""
        return Stop(result.sentence, world, evidence)
    return steps_engine.later(step, facts.now, result.sentence)


def _deploy_next(
    step: PromotionStep, facts: Facts, railway: Railway, services: tuple[Live, ...]
) -> Look:
    """Deploy the merge commit on the next service a person asked for, if it is not on its way."""
    commit = facts.release.merge_commit
    wanted = [live for live in services if live.service in step.deploy_wanted]
    target = wanted[0] if wanted else None
    step.deploy_wanted = [live.service for live in wanted[1:]]
    if target is not None and not _on_its_way(target, commit, step):
        # Written down before the call: a repeated look finds the deployment, not the request.
        request = out_of_band.ask(target.instance, commit, now=facts.now)
        place, service = target.instance.environment.railway_id, target.instance.service.railway_id
        out_of_band.asked(request, railway.deploy_commit(place, service, commit))
        with transaction.atomic():
            message = f"Deploying {commit[:7]} on {target.service}."
            audit.record_by_portal("step.deploying", facts.release, message, now=facts.now)
    step.save(update_fields=["deploy_wanted"])
    return Wait(1, f"Deploying {commit[:7]} on {target.service if target else 'no service'}.")


def _on_its_way(live: Live, commit: str, step: PromotionStep) -> bool:
    """Return whether the newest deployment is of `commit`, and has not failed or came of this."""
    latest, since = live.latest, step.started_at
    if latest is None or latest.commit != commit:
        return False
    asked_here = bool(latest.created_at and since and latest.created_at >= since)
    return asked_here or not live.is_broken_at(commit)


def migrate(step: PromotionStep, facts: Facts) -> Look:
    """Bring one of production's databases to the release's heads, through one migration run."""
    if step.database_id is None:
        return Done("The project has no Alembic migrations.")
    database = next(
        (planned for planned in facts.databases if planned.database.pk == step.database_id), None
    )
    if database is None or database.heads is None:
        return Stop("This database was added or retired after the release was created.")
    run = step.migration_run
    if run is None:
        return _start_run(step, facts, database)
    if run.status in OPEN:
        return Wait(0.5, run.sentence or "The migration is running.")
    world = _database_world(step, run)
    if run.status != JobStatus.SUCCEEDED:
        return Stop(run.sentence, world, unknown=run.status == JobStatus.NEEDS_PERSON)
    if sorted(run.after or []) != sorted(run.target):
        message = "The run succeeded, but the database reports another revision."
        return Stop(message, world, unknown=True)
    if not set(database.heads) <= set(run.target):
        return Stop(
            f"The run's commit does not end at the release's heads {', '.join(database.heads)}."
        )
    evidence = steps_engine.told((id, f"{seconds or 0:.2f} s") for id, seconds in run.applied)
    count = len(run.applied)
    did = f"{number_of(count, 'revision')} applied" if count else "Nothing to apply"
    return Done(f"{did}; {_whose(step)} is at {', '.join(run.after or [])}.", evidence)


def _whose(step: PromotionStep) -> str:
    return f"production's database{f' {step.called}' if step.called else ''}"


def _start_run(step: PromotionStep, facts: Facts, database: DatabaseFacts) -> Look:
    production = facts.environments.get(EnvironmentKind.PRODUCTION)
    if production is None:
        return Stop("There is no production environment on Railway.")
    after_merge = facts.project.deploy_order == DeployOrder.DEPLOY_FIRST
    commit = facts.release.merge_commit if after_merge else facts.release.candidate
    if message := database.database.out_of_order:
        return Stop(message, "Nothing was changed.")
    if not after_merge and (refusal := clearance.refused(step, facts, github_of(facts.project))):
        return refusal
    with transaction.atomic():
        step.migration_run = start_migration(
            production,
            database=database.database,
            actor=None,
            commit=commit,
            release=facts.release.name,
            found=(step.promotion.found or {}).get(str(database.database.pk)),
        )
        step.save(update_fields=["migration_run"])
    return Wait(0.5, "The migration is queued.")


def _database_world(step: PromotionStep, run: MigrationRun) -> str:
    after = "an unknown revision" if run.after is None else ", ".join(run.after) or "no revision"
    message = f"is at {after}; {len(run.applied)} of {len(run.planned)} revisions were applied."
    return f"P{_whose(step).removeprefix('p')} {message}"


def smoke(step: PromotionStep, facts: Facts) -> Look:
    """Ask each configured page of production over HTTP."""
    ours = (live for live in facts.in_production if live.at_commits)
    commits = {live.service: _expected(live, facts) for live in ours}
    world = "Production runs the release, but these smoke tests fail."
    return steps_engine.smoke(step, facts, commits, world)


def _expected(live: Live, facts: Facts) -> str:
    """Return the commit that a service must say it runs: one that nothing touched keeps its own."""
    commit = facts.release.merge_commit
    return live.serving if serves_instead(live, commit) == "" and live.serving else commit


def sync_staging(step: PromotionStep, facts: Facts) -> Look:
    """Fast-forward staging to main, never by force."""
    project = facts.project
    seen = fast_forward.level(project)
    if seen.state == fast_forward.EQUAL:
        GitHubSync.objects.filter(project=project).update(wake_at=facts.now)
        return Done(seen.sentence)
    if seen.state == fast_forward.MOVED:
        return Wait(0, seen.sentence)
    late = steps_engine.waited(step, facts.now) > timedelta(minutes=project.deploy_minutes)
    if seen.state == fast_forward.UNSURE and not late:
        return Wait(2, seen.sentence)
    back = f"Merge {project.production_branch} into {project.staging_branch} through a pull request"
    world = f"Production runs the release. {back}, then skip this step."
    return Stop(seen.sentence, world, seen.lacking)


def back_merge(step: PromotionStep, facts: Facts) -> Look:
    """Make sure that a pull request brings the hotfix to staging; its merge is a checklist item."""
    project, github = facts.project, github_of(facts.project)
    main, target = project.production_branch, project.staging_branch
    if not github.compare(target, main).ahead_by:
        GitHubSync.objects.filter(project=project).update(wake_at=facts.now)
        return Done(f"{target} contains every commit of {main}: nothing to merge back.")
    opened = fast_forward.find_back_merge(project, github)
    pull = opened or fast_forward.open_back_merge(project, github)
    with transaction.atomic():
        sync.keep_pull(project, pull, now=facts.now)
        known = {"number": pull.number, "state": "open", "contained": False}
        Release.objects.filter(pk=facts.release.pk).update(back_merge=known)
        GitHubSync.objects.filter(project=project).update(wake_at=facts.now)
    evidence = ({"label": f"#{pull.number}", "said": f"{main} → {target}", "link": pull.url},)
    return Done(f"Pull request #{pull.number} merges {main} back into {target}.", evidence)


STEPS: dict[StepName, Step] = {
    StepName.MERGE: merge,
    StepName.DEPLOY: deploy,
    StepName.MIGRATE: migrate,
    StepName.SMOKE: smoke,
    StepName.SYNC_STAGING: sync_staging,
    StepName.BACK_MERGE: back_merge,
}
