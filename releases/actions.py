"""What people do to a release. Each action: permission, row lock, gates, rows and event in one transaction."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from environments import pace
from environments.actions import start_migration
from environments.models import (
    Branch,
    Database,
    DeployOrder,
    Environment,
    MigrationRun,
    Project,
    databases_of,
)
from portal import audit
from portal.actions import Refused, action, require_seen
from portal.configuration.signing import require as require_signer
from portal.jobs import OPEN, STOPPED, JobStatus, wake_now
from releases import advice, checklist, gates, steps, variable_drift
from releases.database_facts import DatabaseFacts
from releases.doubts import doubts, items_to_attest
from releases.facts import APPROVE, facts_of
from releases.models import (
    Approval,
    ChecklistItem,
    Freeze,
    Promotion,
    PromotionStep,
    PullRequest,
    Release,
    ReleaseKind,
    ReleaseStatus,
    RiskAcceptance,
    Rollback,
    StepName,
    Upkeep,
)
from releases.planned import names

STEPS = {
    DeployOrder.DEPLOY_FIRST: (
        StepName.MERGE,
        StepName.DEPLOY,
        StepName.MIGRATE,
        StepName.SMOKE,
        StepName.SYNC_STAGING,
    ),
    # Railway deploys main when it is pushed, so the schema can only come first by coming before the merge.
    DeployOrder.MIGRATE_FIRST: (
        StepName.MIGRATE,
        StepName.MERGE,
        StepName.DEPLOY,
        StepName.SMOKE,
        StepName.SYNC_STAGING,
    ),
}


def steps_of(release: Release) -> tuple[StepName, ...]:
    """The steps of the release's promotion in their order. Staging lacks a hotfix, so it cannot be moved forward."""
    names = STEPS[DeployOrder(release.project.deploy_order)]
    return (*names[:-1], StepName.BACK_MERGE) if release.is_hotfix else names


def stops_of(release: Release, databases: Sequence[Database]) -> Iterator[tuple[StepName, Database | None]]:
    """The steps with what each is about: there is one migration for each database, one after the other."""
    for name in steps_of(release):
        if name != StepName.MIGRATE:
            yield name, None
        else:
            yield from ((name, one) for one in databases or (None,))


@action("release.cut", "releases.cut_release")
def cut(
    project: Project, *, actor: Any, notes: str = "", seen: str | None = None, now: datetime | None = None
) -> Release:
    """Makes a release of what is on staging now; the worker then collects it and opens its pull request.

    `seen`: the head of staging on the person's page.
    """
    now = now or timezone.now()
    heads = dict(Branch.objects.filter(project=project).values_list("name", "head"))
    candidate, base = heads.get(project.staging_branch, ""), heads.get(project.production_branch, "")
    if not candidate or not base:
        raise Refused(f"The branches of {project.repository} have not been read yet; see Connections.")
    require_seen(actor, seen, "commit")
    if seen and seen != candidate:
        said = f"{project.staging_branch} moved from {seen[:7]} to {candidate[:7]} since you opened this page"
        raise Refused(f"{said}; look at what is new first.")
    if candidate == base:
        raise Refused(f"{project.staging_branch} equals {project.production_branch}: there is nothing to release.")
    release = _create(project, candidate, base, actor, notes, now)
    return _begun(release, "release.cut", actor, {"candidate": candidate}, now)


@action("hotfix.cut", "releases.cut_release")
def cut_hotfix(
    project: Project, *, actor: Any, pull: int | str, candidate: str | None = None, now: datetime | None = None
) -> Release:
    """Makes a hotfix of an open pull request straight into production; `candidate`: the head on the person's page."""
    now = now or timezone.now()
    number = int(pull) if str(pull).isdecimal() and len(str(pull)) < 10 else 0
    row = PullRequest.objects.filter(project=project, number=number).first()
    head = _head_of_hotfix(project, row, str(pull))
    require_seen(actor, candidate, "commit")
    if candidate and candidate != head:
        raise Refused(f"Pull request #{number} moved from {candidate[:7]} to {head[:7]}; look at what is new first.")
    base = Branch.objects.filter(project=project, name=project.production_branch).values_list("head", flat=True).first()
    if not base:
        raise Refused(f"{project.production_branch} of {project.repository} has not been read yet; see Connections.")
    notes = row.title if row else ""
    release = _create(project, head, base, actor, notes, now, kind=ReleaseKind.HOTFIX, pull_number=number)
    return _begun(release, "hotfix.cut", actor, {"candidate": head, "pull_number": number}, now)


def _head_of_hotfix(project: Project, row: PullRequest | None, number: str) -> str:
    """The commit that the pull request brings; refuses one of which no hotfix can be made."""
    main = project.production_branch
    if row is None:
        raise Refused(
            f"There is no pull request #{number[:20]} that the portal knows of; it reads GitHub every moment."
        )
    if row.base != main:
        raise Refused(f"Pull request #{row.number} goes into {row.base}; a hotfix goes straight into {main}.")
    if row.fork:
        raise Refused(f"Pull request #{row.number} comes from a fork; push its branch to {project.repository} first.")
    if row.head == project.staging_branch:
        raise Refused(f"Pull request #{row.number} promotes {row.head}: that is a release, not a hotfix.")
    if row.state != "open":
        raise Refused(f"Pull request #{row.number} is {row.state}; a hotfix is made of an open one.")
    if not row.head_sha:
        raise Refused(f"The head of pull request #{row.number} has not been read yet; look again in a moment.")
    return row.head_sha


def _begun(release: Release, event: str, actor: Any, data: dict[str, Any], now: datetime) -> Release:
    """The fresh release with its checklist and its upkeep, told of in the trail."""
    items = checklist.copy_to(release)
    pace.watch(release.project, now=now)
    wake_now(Upkeep.objects.create(release=release, created_at=now, wake_at=now), now=now)
    said = f"{release.name} cut at {release.candidate[:7]} with {len(items)} checklist items."
    audit.record(event, actor=actor, subject=release, sentence=said, data=data, now=now)
    return release


def _create(
    project: Project,
    candidate: str,
    base: str,
    actor: Any,
    notes: str,
    now: datetime,
    *,
    kind: ReleaseKind = ReleaseKind.NORMAL,
    pull_number: int | None = None,
) -> Release:
    """A release named after the day; refuses a second of its kind, and a second verdict for one commit."""
    for other in Release.objects.filter(project=project, status__in=["open", "promoting"]):
        if other.kind == kind:
            raise Refused(f"{_called(other)} is in preparation; promote or abandon it first.")
        if other.candidate == candidate:
            raise Refused(f"{_called(other)} is about {candidate[:7]} already, and one commit has one verdict.")
    day = timezone.localtime(now).strftime("%Y.%m.%d")
    number = Release.objects.filter(project=project, kind=kind, name__startswith=f"{day}-").count() + 1
    try:
        with transaction.atomic():
            return Release.objects.create(
                project=project,
                kind=kind,
                name=f"{day}-hotfix-{number}" if kind == ReleaseKind.HOTFIX else f"{day}-{number}",
                pull_number=pull_number,
                candidate=candidate,
                base=base,
                cut_by=actor,
                cut_at=now,
                candidate_at=now,
                notes=notes[:20_000],
            )
    except IntegrityError:
        raise Refused("Somebody else cut a release at this moment; open that one.") from None


def _called(release: Release) -> str:
    return f"{release.get_kind_display().capitalize()} {release.name}"


@action("checklist.ticked", "releases.tick_checklistitem")
def tick(
    item: ChecklistItem, *, actor: Any, note: str = "", candidate: str | None = None, now: datetime | None = None
) -> ChecklistItem:
    """Ticks a manual item, or attests what a gate cannot see, for the candidate that the person had before them."""
    now = now or timezone.now()
    item, release = _locked(item, items_to_attest() if item.gate in gates.ATTESTED else None)
    _as_seen(release, candidate, actor)
    if item.gate and not _asks_for_a_person(item, now):
        raise Refused(f"“{item.text}” is decided by the portal, not ticked.")
    if item.phase == "after" and release.is_in_preparation:
        raise Refused("Items after promotion open when production is live.")
    if item.is_ticked and item.ticked_candidate == release.candidate:
        return item  # a doubled click: the first person and time stand
    ChecklistItem.objects.filter(pk=item.pk).update(
        ticked_by=actor, ticked_at=now, ticked_candidate=release.candidate, note=note[:2000], lapsed_at=None
    )
    if release.status == ReleaseStatus.VERIFYING:
        Upkeep.objects.filter(release=release).update(wake_at=now)
    said = f"{item.text}{f': “{note[:500]}”' if note else ''}"
    data = {"item": item.pk, "text": item.text, "note": note[:2000], "candidate": release.candidate}
    audit.record("checklist.ticked", actor=actor, subject=release, sentence=said, data=data, now=now)
    return item


@action("checklist.unticked", "releases.tick_checklistitem")
def untick(item: ChecklistItem, *, actor: Any, now: datetime | None = None) -> ChecklistItem:
    """Takes a tick back."""
    now = now or timezone.now()
    item, release = _locked(item)
    if item.ticked_at is None:
        return item
    ChecklistItem.objects.filter(pk=item.pk).update(
        ticked_by=None, ticked_at=None, ticked_candidate="", note="", lapsed_at=None
    )
    data = {"item": item.pk, "text": item.text, "ticked_by": item.ticked_by_id, "note": item.note}
    audit.record("checklist.unticked", actor=actor, subject=release, sentence=item.text, data=data, now=now)
    return item


def _as_seen(release: Release, candidate: str | None, actor: Any) -> None:
    """Refuses what is done to another commit than the one on the person's page, or without saying which that was."""
    require_seen(actor, candidate, "candidate")
    if candidate and candidate != release.candidate:
        moved = f"The candidate moved from {candidate[:7]} to {release.candidate[:7]} since you opened this page"
        raise Refused(f"{moved}; look at what is new first.")


def _locked(item: ChecklistItem, items: Any = None) -> tuple[ChecklistItem, Release]:
    """The item, out of `items` if given, under a row lock, and its release; refuses when the release has ended."""
    items = items if items is not None else ChecklistItem.objects.select_related("release__project")
    item = items.select_for_update(of=("self",)).get(pk=item.pk)
    release = item.release
    if release.status in (ReleaseStatus.DONE, ReleaseStatus.ABANDONED, ReleaseStatus.ROLLED_BACK):
        raise Refused(f"Release {release.name} is {release.get_status_display()}; its checklist is closed.")
    return item, release


def _asks_for_a_person(item: ChecklistItem, now: datetime) -> bool:
    """Whether the item's gate cannot decide by itself now. A word given before it asks would count unasked later."""
    return item.gate in gates.ATTESTED and gates.ATTESTED[item.gate](doubts(item, now=now)).state == gates.ATTEST


@action("release.approved", "releases.approve_release", guarded=True)
def approve(
    release: Release, *, actor: Any, comment: str = "", candidate: str | None = None, now: datetime | None = None
) -> Approval:
    """Signs the candidate and its exact migration files. Whoever cut the release cannot."""
    now = now or timezone.now()
    release = Release.objects.select_for_update().select_related("project").get(pk=release.pk)
    if release.status != ReleaseStatus.OPEN:
        raise Refused(f"Release {release.name} is {release.get_status_display()}; it can no longer be approved.")
    _as_seen(release, candidate, actor)
    if actor is None or actor.pk == release.cut_by_id:
        raise Refused("Whoever cut a release cannot approve it; a second person must.")
    require_signer(actor, APPROVE)
    if release.collected != release.candidate:
        raise Refused("The candidate has just moved and is being read; look again in a moment.")
    approval, created = Approval.objects.get_or_create(
        release=release,
        user=actor,
        content=gates.content_digest(release),
        lapsed_at=None,
        defaults={"candidate": release.candidate, "comment": comment[:2000], "given_at": now},
    )
    if created:
        data = {"candidate": release.candidate, "content": approval.content, "comment": comment[:2000]}
        said = f"Approved {release.candidate[:7]}{f': “{comment[:500]}”' if comment else ''}"
        audit.record("release.approved", actor=actor, subject=release, sentence=said, data=data, now=now)
    return approval


@action("risk.accepted", "releases.approve_release", guarded=True)
def accept_risk(
    release: Release,
    *,
    actor: Any,
    revision: str,
    sha256: str,
    reason: str,
    candidate: str | None = None,
    now: datetime | None = None,
) -> RiskAcceptance:
    """Takes the risks of one revision file, seen with the content `sha256`. Whoever cut the release cannot."""
    now = now or timezone.now()
    Release.objects.select_for_update().get(pk=release.pk)
    facts = facts_of(release.pk, now=now)
    release = facts.release
    if release.status != ReleaseStatus.OPEN:
        raise Refused(f"Release {release.name} is {release.get_status_display()}; its risks are settled.")
    _as_seen(release, candidate, actor)
    if actor is None or actor.pk == release.cut_by_id:
        raise Refused("Whoever cut a release cannot accept its risks; a second person must.")
    require_signer(actor, APPROVE)
    if not reason.strip():
        raise Refused("Say why this risk can be taken.")
    plans = [one.planned for one in facts.databases if one.migrations]
    if release.collected != release.candidate or any(
        plan is None or plan.status != JobStatus.SUCCEEDED for plan in plans
    ):
        raise Refused("The migrations are being planned; look again in a moment.")
    # One file may run in several databases: its risks in all of them are taken together.
    asking = [
        risk
        for plan in plans
        if plan
        for step in plan.unaccepted
        if (step.revision, step.sha256) == (revision, sha256)
        for risk in plan.asking(step)
    ]
    if not asking:
        raise Refused("This file has changed since, or no risk of it waits to be accepted; look again.")
    risks = names(asking)
    accepted = RiskAcceptance.objects.create(
        project=release.project, release=release, revision=revision, sha256=sha256,
        risks=risks, user=actor, reason=reason.strip()[:2000], at=now,
    )  # fmt: skip
    data = {"revision": revision, "sha256": sha256, "risks": risks, "reason": accepted.reason}
    said = f"Risks of {revision} accepted: “{accepted.reason[:500]}”"
    audit.record("risk.accepted", actor=actor, subject=release, sentence=said, data=data, now=now)
    return accepted


@action("release.migrate_staging", "environments.migrate_environment")
def migrate_staging(
    release: Release, *, actor: Any, candidate: str | None = None, now: datetime | None = None
) -> MigrationRun:
    """Brings staging's databases to the candidate's heads: a run for each that is not there. Returns the first."""
    release = Release.objects.select_for_update().select_related("project").get(pk=release.pk)
    if release.status != ReleaseStatus.OPEN:
        raise Refused(f"Release {release.name} is {release.get_status_display()}.")
    _as_seen(release, candidate, actor)
    if release.migrations_problem:
        raise Refused(release.migrations_problem)
    staging = Environment.objects.filter(project=release.project, kind="staging", gone_at=None).first()
    if staging is None:
        raise Refused("There is no staging environment on Railway.")
    wanted = _to_migrate(release, staging)
    why = f"release {release.name}"
    runs = [
        start_migration(staging, database=one, actor=actor, commit=release.candidate, reason=why, now=now)
        for one in wanted
    ]
    return runs[0]


def _to_migrate(release: Release, staging: Environment) -> list[Database]:
    """The databases that the button is about: those whose new files staging has not run, or that are elsewhere."""
    databases = databases_of(release.project)
    if not databases:
        raise Refused(f"{release.project} has no Alembic directory configured, so there is nothing to migrate.")
    if len(databases) == 1:
        return databases
    facts = facts_of(release.pk)
    behind = {one.database.pk for one in facts.databases if not one.is_staged or _is_elsewhere(one)}
    found = [one for one in databases if one.pk in behind]
    if not found:
        raise Refused("Every database of staging is at the release's heads, brought there by the portal.")
    return found


def _is_elsewhere(one: DatabaseFacts) -> bool:
    place = one.places.get("staging")
    return place is None or sorted(place.revisions or ()) != sorted(one.heads or ())


@action("release.promoted", "releases.promote_release", guarded=True)
def promote(release: Release, *, actor: Any, candidate: str | None = None, now: datetime | None = None) -> Promotion:
    """Starts the promotion when nothing stands in between; the worker carries it out step by step."""
    now = now or timezone.now()
    Release.objects.select_for_update().get(pk=release.pk)
    facts = facts_of(release.pk, now=now)
    release = facts.release
    if release.status != ReleaseStatus.OPEN:
        raise Refused(f"Release {release.name} is {release.get_status_display()} already.")
    _as_seen(release, candidate, actor)
    if Rollback.objects.filter(release__project=release.project, status__in=[*OPEN, *STOPPED]).exists():
        raise Refused("Production is being rolled back; end or abandon that first.")
    if release.collected != release.candidate:
        raise Refused("The candidate has just moved and is being read; look again in a moment.")
    standing = gates.stand(facts)
    if not standing.ready:
        raise Refused(" ".join(f"{line.text}: {line.result.sentence}" for line in standing.missing))
    snapshot = [
        {"text": line.text, "state": line.result.state, "sentence": line.result.sentence} for line in standing.before
    ]
    places = {one.database.pk: one.places.get("production") for one in facts.databases}
    found = {str(pk): place.revisions if place else None for pk, place in places.items()}
    promotion = Promotion.objects.create(
        release=release, started_by=actor, gates=snapshot, found=found, created_at=now, wake_at=now
    )
    databases = [one.database for one in facts.databases]
    PromotionStep.objects.bulk_create(
        PromotionStep(promotion=promotion, position=position, name=name, database=one, called=one.called if one else "")
        for position, (name, one) in enumerate(stops_of(release, databases))
    )
    variable_drift.keep(release, now=now)
    release.move_to(ReleaseStatus.PROMOTING, now=now)
    wake_now(promotion, now=now)
    advice.begin(facts, now=now)
    data = {"candidate": release.candidate, "content": gates.content_digest(release), "gates": snapshot}
    said = f"Promotion of {release.name} at {release.candidate[:7]} started."
    audit.record("release.promoted", actor=actor, subject=release, sentence=said, data=data, now=now)
    return promotion


@action("step.retried", "releases.repair_release")
def retry_step(release: Release, *, actor: Any, now: datetime | None = None) -> None:
    """Lets the failed step look at the world again."""
    now = now or timezone.now()
    promotion, step = _failed_step(release)
    steps.again(step, migration_run=None)
    steps.go_on(promotion, now)
    audit.record("step.retried", actor=actor, subject=release, sentence=f"{step} is tried again.", now=now)


@action("step.deployed", "releases.repair_release")
def deploy_commit(release: Release, *, actor: Any, candidate: str | None = None, now: datetime | None = None) -> None:
    """Lets the failed deploy step deploy the merge commit on each service that does not run it."""
    now = now or timezone.now()
    promotion, step = _failed_step(release)
    _as_seen(release, candidate, actor)
    if step.name != StepName.DEPLOY:
        raise Refused(f"The step that failed is {step}, not the deployment.")
    facts = facts_of(release.pk, now=now)
    commit = facts.release.merge_commit
    behind = [
        live.service
        for live in facts.live.get("production", ())
        if live.at_commits and gates.liveness(live, commit, since=facts.fresh_since)[0] != gates.PASS
    ]
    steps.again(step, deploy_wanted=behind)
    steps.go_on(promotion, now)
    said = f"Deploy {commit[:7]} on {', '.join(behind) or 'no service'}."
    audit.record("step.deployed", actor=actor, subject=release, sentence=said, data={"services": behind}, now=now)


@action("step.skipped", "releases.repair_release", guarded=True)
def skip_step(release: Release, *, actor: Any, reason: str, now: datetime | None = None) -> None:
    """Goes on without the failed step, by a person's word. The merge cannot be skipped."""
    now = now or timezone.now()
    promotion, step = _failed_step(release)
    if not reason.strip():
        raise Refused("Say why this step can be skipped.")
    if step.name == StepName.MERGE:
        raise Refused("Without the merge nothing is promoted; retry it, or abandon the promotion.")
    steps.skip(step, actor=actor, reason=reason, now=now)
    steps.go_on(promotion, now)
    audit.record(
        "step.skipped",
        actor=actor,
        subject=release,
        sentence=f"{step}: “{reason[:500]}”",
        data={"step": step.name, "reason": reason[:2000], "before": step.sentence},
        now=now,
    )


@action("promotion.abandoned", "releases.abandon_release")
def abandon_promotion(release: Release, *, actor: Any, reason: str, now: datetime | None = None) -> None:
    """Gives a stopped promotion up: before the merge the release is prepared again, after it stays as evidence."""
    now = now or timezone.now()
    if not reason.strip():
        raise Refused("Say why the promotion is abandoned.")
    promotion, step = _failed_step(release)
    release = Release.objects.select_for_update(of=("self",)).select_related("project").get(pk=release.pk)
    Promotion.objects.filter(pk=promotion.pk).update(status=JobStatus.CANCELLED, finished_at=now)
    release.move_to(ReleaseStatus.ABANDONED if release.merge_commit else ReleaseStatus.OPEN, now=now)
    after = "merged" if release.merge_commit else "not merged"
    said = f"Promotion abandoned at {step} ({after}): “{reason[:500]}”"
    audit.record("promotion.abandoned", actor=actor, subject=release, sentence=said, data={"step": step.name}, now=now)


@action("release.abandoned", "releases.abandon_release")
def abandon(release: Release, *, actor: Any, reason: str, now: datetime | None = None) -> None:
    """Gives the release up before it is promoted. Its pull request stays, for people to close."""
    now = now or timezone.now()
    if not reason.strip():
        raise Refused("Say why the release is abandoned.")
    release = Release.objects.select_for_update(of=("self",)).select_related("project").get(pk=release.pk)
    if release.status != ReleaseStatus.OPEN:
        raise Refused(f"Release {release.name} is {release.get_status_display()}; it cannot be abandoned.")
    release.move_to(ReleaseStatus.ABANDONED, now=now)
    audit.record("release.abandoned", actor=actor, subject=release, sentence=f"“{reason[:500]}”", now=now)


@action("release.notes_written", "releases.cut_release")
def write_notes(release: Release, *, actor: Any, notes: str, now: datetime | None = None) -> None:
    """Replaces the release notes."""
    if not release.is_in_preparation:
        raise Refused(f"Release {release.name} is {release.get_status_display()}; its notes are part of its proof.")
    Release.objects.filter(pk=release.pk).update(notes=notes[:20_000])
    audit.record(
        "release.notes_written",
        actor=actor,
        subject=release,
        sentence=f"{len(notes)} characters.",
        data={"notes": notes[:20_000]},
        now=now,
    )


@action("project.frozen", "releases.freeze_project")
def freeze(project: Project, *, actor: Any, reason: str, now: datetime | None = None) -> Freeze:
    """Refuses promotions of `project` until the freeze is lifted."""
    now = now or timezone.now()
    if not reason.strip():
        raise Refused("Say why promotions are frozen.")
    try:
        with transaction.atomic():
            row = Freeze.objects.create(project=project, reason=reason[:300], started_by=actor, started_at=now)
    except IntegrityError:
        raise Refused("Promotions are frozen already.") from None
    _judge_again(project, now)
    audit.record("project.frozen", actor=actor, subject=project, sentence=f"“{reason[:300]}”", now=now)
    return row


@action("project.unfrozen", "releases.freeze_project")
def lift_freeze(project: Project, *, actor: Any, now: datetime | None = None) -> None:
    """Allows promotions again."""
    now = now or timezone.now()
    if not Freeze.objects.filter(project=project, lifted_at=None).update(lifted_at=now):
        raise Refused("Promotions are not frozen.")
    _judge_again(project, now)
    audit.record("project.unfrozen", actor=actor, subject=project, sentence="Promotions are allowed again.", now=now)


def _judge_again(project: Project, now: datetime) -> None:
    """Have the verdicts of the project's releases told anew: GitHub must not stay green for long."""
    Upkeep.objects.filter(release__project=project, status__in=OPEN).update(wake_at=now)


def _failed_step(release: Release) -> tuple[Promotion, PromotionStep]:
    """The stopped promotion under a row lock, and the step that stopped it; refuses while it is being rolled back."""
    found = steps.stopped(release.promotions, "promotion")
    if release.rollbacks.filter(status__in=[*OPEN, *STOPPED]).exists():
        raise Refused("A rollback of this release is under way; end or abandon that first.")
    return found
