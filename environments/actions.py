"""What people and other jobs can do to an environment."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from environments import previews, protections, sync
from environments.aftermath import can_be_retried
from environments.coherence import expected_branches
from environments.models import (
    Branch,
    ConnectionCheck,
    Database,
    DeployKey,
    Direction,
    Environment,
    EnvironmentKind,
    Finding,
    MigrationRun,
    Preview,
    PreviewState,
    PreviewVariable,
    Project,
    RailwaySync,
    Rehearsal,
    Repair,
    RepairKind,
    Service,
    ServiceInstance,
    StagingReset,
)
from portal import audit
from portal.actions import Refused, action
from portal.configuration.signing import require as require_signer
from portal.jobs import JobStatus, wake_now

VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")
FORGIVEN = (previews.BY_A_PERSON, previews.TOO_OLD)  # what a person may overrule


@action("migration.requested", "environments.migrate_environment")
def start_migration(
    environment: Environment,
    *,
    database: Database,
    actor: Any,
    commit: str,
    reason: str = "",
    found: list[str] | None = None,
    now: datetime | None = None,
) -> MigrationRun:
    """Queues one run of Alembic that brings a database of `environment` to the heads of `commit`.

    `found`: the revisions it reported before `commit` was deployed, for a run that only verifies what Railway did.
    """
    now = now or timezone.now()
    if not database.alembic:
        raise Refused(f"{environment.project} has no Alembic directory configured, so there is nothing to migrate.")
    if said := database.out_of_order:
        raise Refused(said)
    try:
        with transaction.atomic():
            run = MigrationRun.objects.create(
                environment=environment, database=database, runner=database.runner, commit=commit, found=found,
                requested_by=actor, created_at=now, wake_at=now,
            )  # fmt: skip
    except IntegrityError:
        raise Refused(f"{database.of(environment)} is being migrated already; wait for that run to end.") from None
    wake_now(run, now=now)
    said = f"Migrate {database.of(environment)} to {commit[:7]}{': ' + reason if reason else ''}."
    audit.record("migration.requested", actor=actor, subject=run, sentence=said, data={"commit": commit}, now=now)
    return run


def queue_downgrade(
    environment: Environment,
    database: Database,
    *,
    commit: str,
    target: str,
    file: dict[str, str],
    requested_by: Any,
    approved_by: Any,
    now: datetime,
) -> MigrationRun:
    """One run, woken, that undoes the revision of `file` with the files of `commit`; two people stand for it.

    Part of an action, which has asked for their permissions. It runs in the portal, whatever brings the project's
    databases up: one revision and not the heads. Raises `Refused` while another run is under way.
    """
    try:
        with transaction.atomic():
            run = MigrationRun.objects.create(
                environment=environment, database=database, commit=commit, direction=Direction.DOWNGRADE,
                target=[target], planned=[file],
                requested_by=requested_by, approved_by=approved_by, created_at=now, wake_at=now,
            )  # fmt: skip
    except IntegrityError:
        raise Refused(f"{database.of(environment)} is being migrated already; wait for that run to end.") from None
    wake_now(run, now=now)
    return run


@action("migration.cancelled", "environments.migrate_environment")
def cancel_migration(run: MigrationRun, *, actor: Any, now: datetime | None = None) -> None:
    """Asks the worker to stop the run; the database is read afterwards."""
    now = now or timezone.now()
    if not MigrationRun.objects.filter(pk=run.pk, cancel_requested_at=None, finished_at=None).update(
        cancel_requested_at=now
    ):
        raise Refused("This run has ended, or is being stopped already.")
    audit.record("migration.cancelled", actor=actor, subject=run, sentence=f"Stop the {run}.", now=now)


@action("migration.retried", "environments.migrate_environment")
def retry_migration(run: MigrationRun, *, actor: Any, now: datetime | None = None) -> MigrationRun:
    """Queues a new run of the same commit after one that did not succeed; it goes on from where the database is."""
    now = now or timezone.now()
    mine = MigrationRun.objects.filter(environment=run.environment, database=run.database)
    newest = mine.order_by("-pk").values_list("pk", flat=True)
    if run.is_open or run.status == JobStatus.SUCCEEDED:
        raise Refused("This run has not failed, so there is nothing to retry.")
    if newest.first() != run.pk:
        raise Refused(f"{run.database.of(run.environment)} was migrated again since; look at the newest run.")
    if run.direction == Direction.DOWNGRADE:
        raise Refused("Two people agreed on this step back: ask for it anew on the release's page.")
    if not can_be_retried(run):
        raise Refused("This run belongs to a promotion: retry its step on the release's page.")
    why = f"again, after run {run.pk}"
    fresh = start_migration(run.environment, database=run.database, actor=actor, commit=run.commit, reason=why, now=now)
    said = f"Migration {run.pk} is tried again from where the database is."
    audit.record("migration.retried", actor=actor, subject=run, sentence=said, data={"run": fresh.pk}, now=now)
    return fresh


@action("rehearsal.requested", "environments.migrate_environment")
def start_rehearsal(
    environment: Environment,
    *,
    database: Database,
    actor: Any,
    commit: str,
    direction: str = Direction.UPGRADE,
    now: datetime | None = None,
) -> Rehearsal:
    """Queues a rehearsal of `commit`'s migrations, or of one revision back, over a copy of the database's schema."""
    now = now or timezone.now()
    if not database.alembic:
        raise Refused(f"{environment.project} has no Alembic directory configured, so there is nothing to rehearse.")
    rehearsal = queue_rehearsal(environment, database, commit=commit, direction=direction, by=actor, now=now)
    if rehearsal is None:
        raise Refused("The same rehearsal is under way already; wait for it to end.")
    place = " ".join(filter(None, [str(environment), database.called]))
    said = f"Rehearse {Direction(direction).label} at {commit[:7]} for {place}."
    audit.record("rehearsal.requested", actor=actor, subject=rehearsal, sentence=said, data={"commit": commit}, now=now)
    return rehearsal


def queue_rehearsal(
    environment: Environment,
    database: Database,
    *,
    commit: str,
    direction: str = Direction.UPGRADE,
    by: Any = None,
    now: datetime,
) -> Rehearsal | None:
    """A new rehearsal, woken; None while the same is under way."""
    try:
        with transaction.atomic():
            rehearsal = Rehearsal.objects.create(
                environment=environment,
                database=database,
                commit=commit,
                direction=direction,
                requested_by=by,
                created_at=now,
                wake_at=now,
            )
    except IntegrityError:
        return None
    wake_now(rehearsal, now=now)
    return rehearsal


@action("rehearsal.cancelled", "environments.migrate_environment")
def cancel_rehearsal(rehearsal: Rehearsal, *, actor: Any, now: datetime | None = None) -> None:
    """Asks the worker to stop the rehearsal; nothing of it is left."""
    now = now or timezone.now()
    if not Rehearsal.objects.filter(pk=rehearsal.pk, cancel_requested_at=None, finished_at=None).update(
        cancel_requested_at=now
    ):
        raise Refused("This rehearsal has ended, or is being stopped already.")
    wake_now(rehearsal, now=now)
    audit.record("rehearsal.cancelled", actor=actor, subject=rehearsal, sentence=f"Stop the {rehearsal}.", now=now)


@action("finding.resolved", "environments.resolve_finding")
def resolve_finding(finding: Finding, *, actor: Any, reason: str, now: datetime | None = None) -> None:
    """Closes a finding by a person's word. What comparison still sees is opened again by the next reading; what was
    done around the portal is not: it is one event, and settled.
    """
    now = now or timezone.now()
    if not reason.strip():
        raise Refused("Say why this finding can be closed.")
    changed = Finding.objects.filter(pk=finding.pk, closed_at=None).update(
        closed_at=now, closed_by=actor, reason=reason[:2000]
    )
    if not changed:
        raise Refused("This finding is closed already.")
    audit.record("finding.resolved", actor=actor, subject=finding, sentence=f"“{reason[:500]}”", now=now)


@action("connections.check_requested", "environments.check_connections")
def check_connections(check: ConnectionCheck, *, actor: Any, now: datetime | None = None) -> None:
    """Has every credential looked at now."""
    check, _ = ConnectionCheck.objects.get_or_create(single=True)  # the first look makes the row
    wake_now(check, now=now)
    said = "Check the connections."
    audit.record("connections.check_requested", actor=actor, subject=check, sentence=said, now=now)


@action("host_keys.pinned", "environments.change_deploykey")
def pin_host_keys(key: DeployKey, *, actor: Any, fingerprints: Sequence[str], now: datetime | None = None) -> None:
    """Pins the host keys whose fingerprints the person compared, out of those that the last check saw.

    They take the place of what was pinned before.
    """
    if not fingerprints:
        raise Refused("Choose at least one host key; nothing was pinned.")
    DeployKey.objects.select_for_update().defer("private_key").get(pk=key.pk)
    check = ConnectionCheck.objects.first()
    offers = [one for found in (check.found if check else []) if found.get("project") == key.project.slug
              for one in found.get("offers", ())]  # fmt: skip
    shown = {fingerprint: f"{kind} {blob}\n" for kind, blob, fingerprint, _ in offers}
    chosen = list(dict.fromkeys(fingerprints))
    if missing := [one for one in chosen if one not in shown]:
        raise Refused(f"The last check did not see the host key {missing[0][:60]}; check again, nothing was pinned.")
    pinned = "".join(shown[one] for one in chosen)
    DeployKey.objects.filter(pk=key.pk).update(host_keys=pinned, changed_at=now or timezone.now())
    if check:
        wake_now(check, now=now)
    said = f"The git server may show {', '.join(chosen)}."
    audit.record("host_keys.pinned", actor=actor, subject=key, sentence=said, now=now)


@action("staging.sync_requested", "environments.repair_environment")
def sync_staging(project: Project, *, actor: Any, now: datetime | None = None) -> Repair:
    """Asks for staging to be brought level with main: by a fast-forward, or not at all."""
    said = f"Bring {project.staging_branch} level with {project.production_branch}."
    return _repair(project, RepairKind.SYNC_STAGING, "staging.sync_requested", said, actor=actor, now=now)


@action("back_merge.requested", "environments.repair_environment")
def open_back_merge(project: Project, *, actor: Any, now: datetime | None = None) -> Repair:
    """Asks for a pull request that merges main back into staging; one that is open already is found."""
    said = f"Open a pull request from {project.production_branch} into {project.staging_branch}."
    return _repair(project, RepairKind.BACK_MERGE, "back_merge.requested", said, actor=actor, now=now)


@action("staging.reset_requested", "environments.repair_environment", guarded=True)
def request_reset(
    project: Project, *, actor: Any, staging: str, main: str, reason: str, now: datetime | None = None
) -> StagingReset:
    """Asks for staging to be reset to main, which both hold the same files; a second person must sign it.

    `staging` and `main` are the heads that the person had before them.
    """
    now = now or timezone.now()
    if not reason.strip():
        raise Refused(f"Say why {project.staging_branch} is to be reset.")
    if actor is None:
        raise Refused("A reset is asked for by a person.")
    _resettable(project, staging, main)
    # One that is about other heads can no longer be carried out, and makes room.
    StagingReset.objects.filter(project=project, closed_at=None).exclude(staging_head=staging, main_head=main).update(
        closed_at=now
    )
    try:
        with transaction.atomic():
            row = StagingReset.objects.create(
                project=project, staging_head=staging, main_head=main, reason=reason.strip()[:2000],
                requested_by=actor, requested_at=now,
            )  # fmt: skip
    except IntegrityError:
        raise Refused("This reset is asked for already; a second person can sign it.") from None
    said = f"Reset {project.staging_branch} from {staging[:7]} to {main[:7]}: “{reason.strip()[:500]}”"
    audit.record("staging.reset_requested", actor=actor, subject=row, sentence=said, data=_heads(row), now=now)
    return row


@action("staging.reset_signed", "environments.sign_reset", guarded=True)
def sign_reset(reset: StagingReset, *, actor: Any, staging: str, main: str, now: datetime | None = None) -> Repair:
    """The second person's word for exactly these heads; the worker then looks once more, and resets."""
    now = now or timezone.now()
    row = StagingReset.objects.select_for_update(of=("self",)).select_related("project").get(pk=reset.pk)
    project = row.project
    if row.closed_at is not None:
        raise Refused("This reset was signed or taken back already.")
    if actor is None or actor.pk == row.requested_by_id:
        raise Refused("Whoever asked for a reset cannot sign it; a second person must.")
    require_signer(actor, "environments.sign_reset")
    if (staging, main) != (row.staging_head, row.main_head):
        raise Refused("This is not the reset that was on your page: look at it again.")
    _resettable(project, staging, main)
    said = f"Signed: {project.staging_branch} is reset from {row.staging_head[:7]} to {row.main_head[:7]}."
    repair = _repair(project, RepairKind.RESET, "staging.reset_signed", said, actor=actor, now=now,
                     wanted=row.main_head, before=row.staging_head)  # fmt: skip
    StagingReset.objects.filter(pk=row.pk).update(signed_by=actor, closed_at=now, repair=repair)
    return repair


@action("staging.reset_taken_back", "environments.repair_environment")
def take_reset_back(reset: StagingReset, *, actor: Any, now: datetime | None = None) -> None:
    """Gives up a reset that nobody has signed."""
    now = now or timezone.now()
    if not StagingReset.objects.filter(pk=reset.pk, closed_at=None).update(closed_at=now):
        raise Refused("This reset was signed or taken back already.")
    said = f"{reset.project.staging_branch} is not reset."
    audit.record("staging.reset_taken_back", actor=actor, subject=reset, sentence=said, data=_heads(reset), now=now)


def _resettable(project: Project, staging: str, main: str) -> None:
    """Refuses unless the newest look at both branches found them apart with the same files, and they stand there."""
    seen = Repair.objects.filter(project=project, kind=RepairKind.SYNC_STAGING).first()
    if seen is None or seen.is_open or not seen.before or (seen.before, seen.wanted) != (staging, main):
        both = f"{project.staging_branch} and {project.production_branch}"
        raise Refused(f"Sync staging first: only when {both} hold the same files can one be reset to the other.")
    heads = dict(Branch.objects.filter(project=project).values_list("name", "head"))
    for name, was in ((project.staging_branch, staging), (project.production_branch, main)):
        if heads.get(name) != was:
            raise Refused(f"{name} is not at {was[:7]} any more: sync staging again, and look.")


def _heads(row: StagingReset) -> dict[str, str]:
    return {"staging": row.staging_head, "main": row.main_head}


@action("branch.repair_requested", "environments.repair_environment")
def repair_branch(instance: ServiceInstance, *, actor: Any, wanted: str, now: datetime | None = None) -> Repair:
    """Asks for `instance` to follow the branch it should; `wanted` is the one that the person confirmed."""
    _is_there(instance)
    project = instance.service.project
    expected = expected_branches(project).get(instance.environment.kind)
    if not expected:
        raise Refused(f"No branch is expected in {instance.environment}, so there is nothing to put right.")
    if wanted != expected:
        raise Refused(f"{instance} should follow {expected}, not {wanted}: look at the page again.")
    if instance.repository.lower() != project.repository.lower():
        raise Refused(f"{instance} is not built from {project.repository}: connect it in Railway.")
    if instance.branch == expected:
        raise Refused(f"{instance} follows {expected} already.")
    said = f"Let {instance} follow {expected} instead of {instance.branch or 'no branch'}."
    return _repair(project, RepairKind.BRANCH, "branch.repair_requested", said, actor=actor, now=now,
                   instance=instance, wanted=expected)  # fmt: skip


@action("service.placed", "environments.place_service")
def place_service(service: Service, *, actor: Any, belongs: bool | None, now: datetime | None = None) -> None:
    """Says whether releases wait for `service`; None: as where it is built from says."""
    now = now or timezone.now()
    RailwaySync.objects.select_for_update().get(project=service.project_id)  # findings are compared by one at a time
    before = Service.objects.values_list("belongs", flat=True).get(pk=service.pk)
    Service.objects.filter(pk=service.pk).update(belongs=belongs)
    what = {True: "belongs to the release", False: "does not belong to the release"}
    said = f"{service} {what[belongs]}." if belongs is not None else f"{service} belongs by where it is built from."
    data = {"before": before, "after": belongs}
    audit.record("service.placed", actor=actor, subject=service, sentence=said, data=data, now=now)
    sync.compare(service.project, now=now)


@action("push.repair_requested", "environments.repair_environment")
def switch_push_on(instance: ServiceInstance, *, actor: Any, now: datetime | None = None) -> Repair:
    """Asks for a push to deploy `instance` again."""
    _is_there(instance)
    if instance.environment.kind not in expected_branches(instance.service.project):
        raise Refused(f"{instance.environment} is neither staging nor production; it is left as it is.")
    if instance.autodeploy:
        raise Refused(f"{instance} is deployed on push already.")
    said = f"Let a push to {instance.branch or 'its branch'} deploy {instance}."
    return _repair(instance.service.project, RepairKind.PUSH, "push.repair_requested", said, actor=actor, now=now,
                   instance=instance, wanted="on")  # fmt: skip


@action("deploy.requested", "environments.repair_environment")
def deploy_head(instance: ServiceInstance, *, actor: Any, commit: str, now: datetime | None = None) -> Repair:
    """Asks for the head of the branch that `instance` follows to be deployed there; `commit` was confirmed."""
    _is_there(instance)
    project = instance.service.project
    if instance.branch != expected_branches(project).get(instance.environment.kind):
        raise Refused(f"{instance} does not follow the branch it should; put that right first.")
    head = Branch.objects.filter(project=project, name=instance.branch).values_list("head", flat=True).first()
    if not head or commit != head:
        raise Refused(f"{instance.branch} is not at {commit[:7] or 'that commit'} (any more): look at the page again.")
    said = f"Deploy {head[:7]}, the head of {instance.branch}, on {instance}."
    return _repair(project, RepairKind.DEPLOY, "deploy.requested", said, actor=actor, now=now,
                   instance=instance, wanted=head)  # fmt: skip


def _is_there(instance: ServiceInstance) -> None:
    """Refuses for what Railway no longer has."""
    if instance.service.gone_at:
        raise Refused(f"{instance.service} was deleted on Railway, so there is nothing to put right.")
    if instance.environment.gone_at:
        raise Refused(f"{instance.environment} was deleted on Railway, so there is nothing to put right.")


def _repair(
    project: Project,
    kind: RepairKind,
    event: str,
    said: str,
    *,
    actor: Any,
    now: datetime | None,
    instance: ServiceInstance | None = None,
    subject: str = "",
    wanted: str = "",
    before: str = "",
) -> Repair:
    """Queues one repair, unless the same is under way."""
    now = now or timezone.now()
    try:
        with transaction.atomic():
            repair = Repair.objects.create(
                project=project, kind=kind, instance=instance, subject=subject or str(instance or ""), wanted=wanted,
                before=before, requested_by=actor, created_at=now, wake_at=now,
            )  # fmt: skip
    except IntegrityError:
        raise Refused("The same repair is under way already; wait for it to end.") from None
    wake_now(repair, now=now)
    audit.record(event, actor=actor, subject=repair, sentence=said, data={"wanted": wanted}, now=now)
    return repair


@action("preview.rebuild_requested", "environments.manage_preview")
def rebuild_preview(preview: Preview, *, actor: Any, now: datetime | None = None) -> None:
    """Has a preview's variables and deployments made anew, at the pull request's head."""
    now = now or timezone.now()
    if not preview.wanted and preview.why_not not in FORGIVEN:
        raise Refused(f"{preview} is not to be: {preview.why_not}.")
    previews.requeue(
        preview, now=now, wanted=True, why_not="", variables_at=None, deployed={}, live_at=None, log="", head_at=now,
        state=PreviewState.CREATING,
    )  # fmt: skip
    said = f"Build {preview} anew at {preview.head[:7]}."
    audit.record("preview.rebuild_requested", actor=actor, subject=preview, sentence=said, now=now)


@action("preview.removal_requested", "environments.manage_preview")
def remove_preview(preview: Preview, *, actor: Any, now: datetime | None = None) -> None:
    """Has a preview deleted; the next push, or a rebuild, brings it back."""
    now = now or timezone.now()
    if not preview.wanted:
        raise Refused(f"{preview} is being removed already.")
    previews.requeue(preview, now=now, wanted=False, why_not=previews.BY_A_PERSON)
    audit.record("preview.removal_requested", actor=actor, subject=preview, sentence=f"Delete {preview}.", now=now)


@action("preview.variable_set", "environments.manage_preview")
def set_preview_variable(
    project: Project, *, actor: Any, service: str, name: str, value: str, now: datetime | None = None
) -> None:
    """Gives every preview this value of a variable; it is kept encrypted and never shown again."""
    now = now or timezone.now()
    service, name = service.strip(), name.strip()
    if not VARIABLE_NAME.fullmatch(name):
        raise Refused("Write the variable's name in letters, digits and _, beginning with a letter or _.")
    if not Service.objects.filter(project=project, name=service, gone_at=None).exists():
        raise Refused(f"{project} has no service “{service[:80]}” on Railway.")
    if not value or len(value) > 10_000 or "\x00" in value:
        raise Refused("Give a value of 1 to 10,000 letters.")
    row, _ = PreviewVariable.objects.update_or_create(
        project=project, service=service, name=name, defaults={"value": value}
    )
    waiting = Preview.objects.filter(project=project, state__in=[PreviewState.ASKING, PreviewState.FAILED], wanted=True)
    for preview in waiting:
        previews.requeue(preview, now=now, variables_at=None, deployed={}, log="")
    said = f"Previews get a value of their own for {name} of {service}."
    audit.record("preview.variable_set", actor=actor, subject=row, sentence=said, now=now)


@action("preview.variable_removed", "environments.manage_preview")
def remove_preview_variable(row: PreviewVariable, *, actor: Any, now: datetime | None = None) -> None:
    """From now on new previews keep what is copied from staging."""
    said = f"Previews no longer get a value of their own for {row.name} of {row.service}."
    audit.record("preview.variable_removed", actor=actor, subject=row, sentence=said, now=now)
    PreviewVariable.objects.filter(pk=row.pk).delete()


@action("preview.adopted", "environments.manage_preview")
def adopt_environment(environment: Environment, *, actor: Any, typed: str, now: datetime | None = None) -> None:
    """Has the portal take over a preview that others made; the person types its name."""
    if environment.kind != EnvironmentKind.PREVIEW:
        raise Refused(f"{environment} is no preview, so it cannot be adopted.")
    if typed.strip() != environment.name:
        raise Refused(f"Type the name {environment} to adopt it; nothing was done.")
    preview, why_not = previews.adopt(environment)
    if preview is None:
        raise Refused(why_not)
    said = f"{environment} was adopted for #{preview.number}: the portal deploys it, and deletes it with that."
    data = {"environment": environment.railway_id}
    audit.record("preview.adopted", actor=actor, subject=preview, sentence=said, data=data, now=now or timezone.now())


@action("environment.delete_requested", "environments.manage_preview")
def delete_environment(environment: Environment, *, actor: Any, typed: str, now: datetime | None = None) -> Repair:
    """Has an environment deleted that the portal did not make; the person types its name."""
    if environment.kind != EnvironmentKind.PREVIEW:
        raise Refused(f"{environment} is no preview, so it is not deleted from here.")
    if typed.strip() != environment.name:
        raise Refused(f"Type the name {environment} to have it deleted; nothing was done.")
    said = f"Delete the environment {environment} with everything in it."
    return _repair(environment.project, RepairKind.DELETE, "environment.delete_requested", said, actor=actor, now=now,
                   subject=environment.name, wanted=environment.railway_id)  # fmt: skip


@action("protection.requested", "environments.protect_branch")
def protect_branch(project: Project, *, actor: Any, branch: str, now: datetime | None = None) -> Repair:
    """Asks for a long-lived branch to be protected exactly as it should be; its rulesets stay as they are."""
    if branch not in protections.branches(project):
        raise Refused(f"{branch[:100] or 'That'} is none of the long-lived branches of {project}.")
    said = (
        f"Protect {branch}: changes only by pull request, with {', '.join(protections.wanted_checks(project, branch))}."
    )
    return _repair(project, RepairKind.PROTECT, "protection.requested", said, actor=actor, now=now,
                   subject=branch, wanted=branch)  # fmt: skip


@action("keep_heads.requested", "environments.protect_branch")
def keep_heads(project: Project, *, actor: Any, now: datetime | None = None) -> Repair:
    """Asks for *Automatically delete head branches* to be switched off: it would delete staging at the merge."""
    said = f"Switch off Automatically delete head branches in {project.repository}."
    return _repair(project, RepairKind.KEEP_HEADS, "keep_heads.requested", said, actor=actor, now=now,
                   subject=project.repository, wanted="off")  # fmt: skip
