"""Creating releases and hotfixes, migrating staging, and giving a release up."""

from collections.abc import Mapping
from datetime import datetime

from django.utils import timezone

from environments.databases.actions import start_migration
from environments.models import (
    Branch,
    Database,
    Environment,
    EnvironmentKind,
    MigrationRun,
    Project,
    databases_of,
)
from portal import audit
from portal.audit import Actor
from portal.jobs import wake_now
from portal.ui.actions import Refused, action, refuse_second, require_reason, require_seen
from releases.checklist import items as checklist_items
from releases.gates import record
from releases.gates.context import facts_of
from releases.github_mirror import watching as mirrors
from releases.lifecycle.possible import brings_something, head_of_hotfix
from releases.locking import _as_seen
from releases.models.pull_requests import PullRequest
from releases.models.reconciler import ReleaseReconciler
from releases.models.releases import Release, ReleaseKind, ReleaseStatus


@action("release.cut", "releases.cut_release")
def cut(
    project: Project,
    *,
    actor: Actor,
    notes: str = "",
    seen: str | None = None,
    now: datetime | None = None,
) -> Release:
    """Make a release of what is on staging now; the worker then collects it and opens its pull
    request.

    `seen`: the head of staging on the person's page.
    """
    now = now or timezone.now()
    heads = Branch.heads(project)
    candidate, base = (
        heads.get(name, "") for name in (project.staging_branch, project.production_branch)
    )
    if not candidate or not base:
        raise Refused(
            f"The branches of {project.repository} have not been read yet; see Connections."
        )
    require_seen(actor, seen, "commit")
    if seen and seen != candidate:
        message = (
            f"{project.staging_branch} moved from {seen[:7]} to {candidate[:7]} since you opened"
            " this page"
        )
        raise Refused(f"{message}. Review the changes first.")
    if candidate == base:
        raise Refused(
            f"{project.staging_branch} equals {project.production_branch}: nothing to release."
        )
    brings_something(project, candidate, base)
    release = _create(project, candidate, base, actor, notes, now)
    return _begun(release, "release.cut", actor, {"candidate": candidate}, now)


@action("hotfix.cut", "releases.cut_release")
def cut_hotfix(
    project: Project,
    *,
    actor: Actor,
    pull: int | str,
    candidate: str | None = None,
    now: datetime | None = None,
) -> Release:
    """Make a hotfix of an open pull request straight into production; `candidate`: the head on the
    person's page.
    """
    now = now or timezone.now()
    number = int(pull) if str(pull).isdecimal() and len(str(pull)) < 10 else 0
    row = PullRequest.objects.filter(project=project, number=number).first()
    head = head_of_hotfix(project, row, str(pull))
    require_seen(actor, candidate, "commit")
    if candidate and candidate != head:
        raise Refused(
            f"Pull request #{number} moved from {candidate[:7]} to {head[:7]}. Review the "
            "changes first."
        )
    base = Branch.heads(project).get(project.production_branch)
    if not base:
        raise Refused(
            f"{project.production_branch} of {project.repository} has not been read yet; see"
            " Connections."
        )
    notes = row.title if row else ""
    release = _create(
        project, head, base, actor, notes, now, kind=ReleaseKind.HOTFIX, pull_number=number
    )
    return _begun(release, "hotfix.cut", actor, {"candidate": head, "pull_number": number}, now)


def _begun(
    release: Release, event: str, actor: Actor, data: Mapping[str, object], now: datetime
) -> Release:
    """Return the fresh release with its checklist and its reconciler, told of in the trail."""
    items = checklist_items.copy_to(release)
    mirrors.watch(release.project, now=now)
    wake_now(
        ReleaseReconciler.objects.create(release=release, created_at=now, wake_at=now), now=now
    )
    message = (
        f"{release.name} created at {release.candidate[:7]} with {len(items)} checklist items."
    )
    audit.record(event, actor=actor, subject=release, sentence=message, data=data, now=now)
    return release


def _create(
    project: Project,
    candidate: str,
    base: str,
    actor: Actor,
    notes: str,
    now: datetime,
    *,
    kind: ReleaseKind = ReleaseKind.NORMAL,
    pull_number: int | None = None,
) -> Release:
    """Return a release named after the day; refuse a second of its kind, and a second verdict for
    one commit.
    """
    for other in Release.objects.in_preparation().filter(project=project):
        if other.kind == kind:
            raise Refused(f"{_called(other)} is in preparation. Promote or abandon it first.")
        if other.candidate == candidate:
            raise Refused(
                f"{_called(other)} already covers {candidate[:7]}. A release and a hotfix cannot "
                "share a commit."
            )
    day = timezone.localtime(now).strftime("%Y.%m.%d")
    number = (
        Release.objects.filter(project=project, kind=kind, name__startswith=f"{day}-").count() + 1
    )
    with refuse_second("Somebody else created a release at the same moment. Open that one."):
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


def _called(release: Release) -> str:
    return f"{release.get_kind_display().capitalize()} {release.name}"


@action("release.migrate_staging", "environments.migrate_environment")
def migrate_staging(
    release: Release, *, actor: Actor, candidate: str | None = None, now: datetime | None = None
) -> MigrationRun:
    """Bring staging's databases to the candidate's heads: a run for each that is not there.

    Return the first.
    """
    release = Release.objects.select_for_update().select_related("project").get(pk=release.pk)
    if release.status != ReleaseStatus.OPEN:
        raise Refused(f"Release {release.name} is {release.get_status_display()}.")
    _as_seen(release, candidate, actor)
    if release.migrations_problem:
        raise Refused(release.migrations_problem)
    staging = Environment.objects.present().of_kind(release.project, EnvironmentKind.STAGING)
    if staging is None:
        raise Refused("There is no staging environment on Railway.")
    commit, name = release.candidate, release.name
    runs = [
        start_migration(staging, database=one, actor=actor, commit=commit, release=name, now=now)
        for one in _to_migrate(release, staging)
    ]
    return runs[0]


def _to_migrate(release: Release, staging: Environment) -> list[Database]:
    """Return the databases that the button is about: those whose new files staging has not run, or
    that are elsewhere.
    """
    databases = databases_of(release.project)
    if not databases:
        why = "has no Alembic directory configured, so there is nothing to migrate."
        raise Refused(f"{release.project} {why}")
    if len(databases) == 1:
        return databases
    known = facts_of(release.pk).databases
    behind = {
        one.database.pk
        for one in known
        if not one.is_staged or not one.is_at_heads(EnvironmentKind.STAGING)
    }
    found = [database for database in databases if database.pk in behind]
    if not found:
        raise Refused(
            "Every database of staging is at the release's heads, brought there by the portal."
        )
    return found


@action("release.abandoned", "releases.abandon_release")
def abandon(release: Release, *, actor: Actor, reason: str, now: datetime | None = None) -> None:
    """Give the release up before it is promoted. Its pull request stays, for people to close."""
    now = now or timezone.now()
    require_reason(reason)
    release = Release.objects.locked(release.pk)
    if release.status != ReleaseStatus.OPEN:
        raise Refused(
            f"Release {release.name} is {release.get_status_display()}; it cannot be abandoned."
        )
    record.keep(release, now=now)
    release.move_to(ReleaseStatus.ABANDONED, now=now)
    audit.record(
        "release.abandoned", actor=actor, subject=release, sentence=f"“{reason[:500]}”", now=now
    )


@action("release.notes_written", "releases.cut_release")
def write_notes(release: Release, *, actor: Actor, notes: str, now: datetime | None = None) -> None:
    """Replace the release notes."""
    if not release.is_in_preparation:
        raise Refused(
            f"Release {release.name} is {release.get_status_display()}, so its notes can no "
            "longer change."
        )
    Release.objects.filter(pk=release.pk).update(notes=notes[:20_000])
    audit.record(
        "release.notes_written",
        actor=actor,
        subject=release,
        sentence=f"{len(notes)} characters.",
        data={"notes": notes[:20_000]},
        now=now,
    )
