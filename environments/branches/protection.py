"""Branch protection: what the project expects of both long-lived branches, and what GitHub has."""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime

from django.conf import settings
from django.db import transaction

from environments.branches import checks_that_ran
from environments.branches.protection_rules import (
    FAIL,
    PASS,
    WAIT,
    closed_to_portal,
    compared,
    may_pass,
    own_app,
    wanted_checks,
)
from environments.clients import github_of
from environments.finding_kinds.protection import PROTECTION
from environments.finding_kinds.registry import Reading
from environments.findings import out_of_band
from environments.findings import writer as findings
from environments.findings.problem import Problem
from environments.github import Rules
from environments.github.protection import NO_PLAN
from environments.models import BranchProtection, Project, ProtectionSync, RailwaySync
from environments.quota import sharing
from environments.quota.sharing import in_background
from portal.jobs import Outcome, Requeue
from portal.outbound.http import ApiError


def clicks(project: Project, branch: str) -> list[str]:
    """Return what an administrator of the repository clicks on GitHub to protect `branch` by hand,
    in order.
    """
    checks = " and ".join(sorted(wanted_checks(project, branch)))
    own = settings.STATUS_CONTEXT in wanted_checks(project, branch)
    allowed = ", ".join(sorted(may_pass(project, branch)))
    done = [
        f"Open {project.repository} on GitHub, then Settings, Branches.",
        (
            f"Choose Edit beside the rule of {branch}, or Add classic branch protection rule with"
            f" the pattern {branch}."
        ),
        (
            "Tick Require a pull request before merging, and Require approvals:"
            f" {project.protected_approvals}."
        ),
        f"Tick Require status checks to pass before merging, and add {checks}." if checks else "",
        (
            f"Choose the portal's App as the source of {settings.STATUS_CONTEXT}."
            if own and own_app(project)
            else ""
        ),
        "Tick Require conversation resolution before merging.",
        "Leave Require linear history, Allow force pushes and Allow deletions empty.",
        "Tick Do not allow bypassing the above settings.",
        (
            f"Tick Allow specified actors to bypass required pull requests, and add {allowed}."
            if allowed
            else ""
        ),
        "Choose Save changes. The portal reads the new rules by itself.",
    ]
    return [step for step in done if step]


def branches(project: Project) -> tuple[str, str]:
    """Return the branches that must be protected."""
    return project.production_branch, project.staging_branch


def read(project: Project, *, now: datetime) -> None:
    """Read both branches and bring the findings up to date.

    Raise `ApiError` when GitHub does not answer.
    """
    github = github_of(project)
    readings = {
        branch: (github.rules(branch), checks_that_ran.on_changes_into(github, project, branch))
        for branch in branches(project)
    }
    with transaction.atomic():
        rows = BranchProtection.objects.select_for_update().filter(project=project)
        before = {row.branch: row for row in rows}
        for branch, (rules, ran) in readings.items():
            _keep(project, branch, rules, ran, before.get(branch), now)
        # The lock of the other readings, so that one finding is not opened by both.
        RailwaySync.objects.select_for_update().filter(project=project).first()
        findings.update_findings(project, problems(project), now=now, reading=Reading.PROTECTION)


def _keep(
    project: Project,
    branch: str,
    rules: Rules,
    ran: list[str] | None,
    before: BranchProtection | None,
    now: datetime,
) -> None:
    """Write the reading of one branch, unless one that began later is written already."""
    lines = [asdict(rule) for rule in compared(project, branch, rules)]
    if before:
        if before.read_at > now:
            return
        changes = _changes(before.lines, lines)
        out_of_band.protection_changed(project, branch, changes, before.read_at, now)
    BranchProtection.objects.update_or_create(
        project=project,
        branch=branch,
        defaults={
            "lines": lines,
            "problems": list(rules.problems),
            "settings": rules.classic,
            "ran": ran,
            "closed": closed_to_portal(project, rules),
            "read_at": now,
        },
    )


def _changes(
    before: list[dict[str, str]], lines: list[dict[str, str]]
) -> list[tuple[str, str, str, str]]:
    """Rule, before, after and state after of what changed, but for what was wrong and is right now.

    What could not be read, before or now, says nothing.
    """
    was = {line["key"]: line for line in before}
    pairs = [(was[line["key"]], line) for line in lines if line["key"] in was]
    return [
        (now["rule"], old["actual"], now["actual"], now["state"])
        for old, now in pairs
        if old["actual"] != now["actual"]
        and WAIT not in (old["state"], now["state"])
        and (old["state"], now["state"]) != (FAIL, PASS)
    ]


def problems(project: Project) -> Iterator[Problem]:
    """Yield a finding for each branch whose protection differs from the policy, or is not known.

    One query.
    """
    for row in BranchProtection.objects.filter(project=project, branch__in=branches(project)):
        wrong = [line for line in row.lines if line["state"] == FAIL]
        unknown = [line for line in row.lines if line["state"] == WAIT]
        if wrong:
            names = ", ".join(line["rule"].lower() for line in wrong)
            sentence = f"{row.branch}: protection differs from policy ({names})."
            yield Problem(PROTECTION, row.branch, sentence)
        elif NO_PLAN in row.problems:
            yield Problem(PROTECTION, row.branch, f"{row.branch} is not protected. {NO_PLAN}")
        elif unknown:
            message = ", ".join(line["rule"].lower() for line in unknown)
            why = f" {row.problems[0]}" if row.problems else ""
            sentence = f"{row.branch}: the portal cannot read its protection ({message}).{why}"
            yield Problem(PROTECTION, row.branch, sentence, True)


@in_background
def sync(job: ProtectionSync, *, now: datetime) -> Outcome:
    """Read once the rules; trouble is noted once, and what was read before it grows old."""
    try:
        read(job.project, now=now)
    except ApiError as error:
        findings.note_problem(job, str(error), "GitHub's branch protection", now=now)
        return Requeue(max(settings.PROTECTIONS_SECONDS, error.retry_after or 0), str(error))
    findings.note_problem(job, "", "GitHub's branch protection", now=now)
    seconds = sharing.pause(job.project, now, base=settings.PROTECTIONS_SECONDS)
    return Requeue(seconds, "Branch protections read.")
