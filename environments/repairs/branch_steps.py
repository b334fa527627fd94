"""Repairs of branches: fast-forward, reset, back-merge, revert, protection."""

from datetime import datetime

from django.db import transaction

from environments.branches import apply_protection, fast_forward, protection, protection_rules
from environments.clients import github_of
from environments.findings import out_of_band
from environments.git.calls import GitError
from environments.github.pull_requests import branch_of_revert
from environments.models import (
    Branch,
    BranchProtection,
    EnvironmentKind,
    Project,
    Repair,
    ServiceInstance,
)
from environments.repairs.step_parts import ended_late, failed, succeeded, wait, write_once
from portal.configuration.signing import may_sign
from portal.jobs import Outcome, Requeue, holds


def sync_staging(job: Repair, now: datetime) -> Outcome:
    seen = fast_forward.level(job.project)
    if seen.state in (fast_forward.MOVED, fast_forward.UNSURE):
        job.keep(wrote_at=job.wrote_at or now)
        seconds = 0 if seen.state == fast_forward.MOVED else 2
        return wait(job, seen.sentence, now, seconds=seconds)
    equal = seen.state == fast_forward.EQUAL
    before, wanted = seen.same_files or ("", "")
    job.keep(
        result=fast_forward.MOVED if equal and job.wrote_at is not None else seen.state,
        evidence=list(seen.lacking),
        before=before,
        wanted=wanted,
    )
    return succeeded(seen.sentence) if equal else failed(seen.sentence)


def reset(job: Repair, now: datetime) -> Outcome:
    """Reset staging to main for two people: from exactly `before` to exactly `wanted`, by one push
    with a lease.
    """
    try:
        seen = fast_forward.look_at_reset(job.project, job.before, job.wanted)
        if seen is not None and seen.done:
            job.keep(result=fast_forward.MOVED)
            return succeeded(seen.sentence)
        if job.wrote_at is not None:
            message = f"GitHub does not show the move of {job.project.staging_branch} yet."
            return ended_late(job, seen.sentence if seen else message, now) or Requeue(2, message)
        if seen is not None:
            return failed(seen.sentence)
        if not may_sign(job.requested_by, "environments.sign_reset"):
            message = (
                f"{job.requested_by} signed this reset but may no longer sign one. Nothing was "
                "reset."
            )
            return failed(message)
        if not holds(job):
            return Requeue(0)
        job.keep(wrote_at=now)
        _expect_deployments(job, now)
        fast_forward.reset(job.project, job.before, job.wanted)
    except GitError as error:
        if error.kind in ("lease", "protected", "token", "key", "host_key", "reference"):
            return failed(str(error))
        return wait(job, str(error), now, seconds=5)
    return Requeue(0, f"{job.project.staging_branch} was reset; reading it again.")


def _expect_deployments(job: Repair, now: datetime) -> None:
    """Railway deploys what staging is set to: expect that, and open no finding for it."""
    instances = ServiceInstance.objects.filter(
        environment__project=job.project, environment__kind=EnvironmentKind.STAGING
    )
    for instance in instances.filter(branch=job.project.staging_branch):
        out_of_band.ask(instance, job.wanted, now=now)


def back_merge(job: Repair, now: datetime) -> Outcome:
    project, github = job.project, github_of(job.project)
    main, target = project.production_branch, project.staging_branch
    pull = fast_forward.find_back_merge(project, github)
    if pull is None:
        if not github.compare(target, main).ahead_by:
            return succeeded(f"{target} contains every commit of {main}: nothing to merge.")
        job.keep(wrote_at=now)
        pull = fast_forward.open_back_merge(project, github)
    job.keep(
        evidence=[{"label": f"#{pull.number}", "said": f"{main} → {target}", "link": pull.url}]
    )
    return succeeded(f"Pull request #{pull.number} merges {main} back into {target}.")


def revert(job: Repair, now: datetime) -> Outcome:
    """Find the pull request that reverts #`wanted`, or have GitHub open it."""
    project, github, number = job.project, github_of(job.project), int(job.wanted)
    main, begins = project.production_branch, branch_of_revert(number)
    pull = next(
        (pull for pull in github.pulls_into(main) if pull.head_ref.startswith(begins)), None
    )
    if pull is None:
        job.keep(wrote_at=now)
        why = f"Takes back what #{number} brought to {main}; production was rolled back before."
        pull = github.revert_pull(number, body=why)
    title = f"{pull.head_ref} → {main}"
    job.keep(evidence=[{"label": f"#{pull.number}", "said": title, "link": pull.url}])
    return succeeded(f"Pull request #{pull.number} reverts #{number} on {main}.")


def protect(job: Repair, now: datetime) -> Outcome:
    """Protect a branch, once, and read what binds it then; rulesets stay as they are."""
    project, branch = job.project, job.subject
    protection.read(project, now=now)
    row = BranchProtection.objects.get(project=project, branch=branch)
    wrong = [line for line in row.lines if line["state"] != protection_rules.PASS]
    if not wrong:
        return succeeded(f"{branch} matches its protection policy.")
    if job.wrote_at is not None:
        message = "; ".join(f"{line['rule']}: {line['actual']}" for line in wrong)
        return failed(
            f"The protection was applied but still differs ({message}). Check the rulesets."
        )
    if locked_out := apply_protection.lockout(project, branch, row):
        return failed(locked_out)
    members = github_of(project).seen_members(project.protected_approvals + 1)
    if locked_out := apply_protection.too_few(project, branch, members):
        return failed(locked_out)
    if job.wanted and job.wanted != apply_protection.digest(project, branch, row):
        message = (
            "Nothing was changed: other changes would be made now than were shown; look again."
        )
        return failed(message)
    if not holds(job):
        return Requeue(0)
    job.keep(
        wrote_at=now, before="; ".join(f"{line['rule']}: {line['actual']}" for line in wrong)[:200]
    )
    github_of(project).protect(branch, protection_rules.body_for(project, branch))
    return Requeue(0, f"{branch} was protected; reading it again.")


def keep_heads(job: Repair, now: datetime) -> Outcome:
    """Switch *Automatically delete head branches* off, once, and read the setting again."""
    github = github_of(job.project)
    if not github.deletes_heads():
        _note_kept(job.project)
        return succeeded("GitHub leaves merged branches where they are.")
    return write_once(
        job,
        now,
        before="on",
        write=github.keep_heads,
        told="GitHub now keeps merged branches. Reading the setting again…",
        still="GitHub still deletes merged branches.",
    )


@transaction.atomic
def _note_kept(project: Project) -> None:
    """Have both branches' rules say at once that merged branches stay."""
    rows = Branch.objects.select_for_update().filter(project=project)
    for row in rows.filter(merge_rules__deletes_heads=True):
        row.merge_rules = {**(row.merge_rules or {}), "deletes_heads": False}
        row.save(update_fields=["merge_rules"])
