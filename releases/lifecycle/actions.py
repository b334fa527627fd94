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
from releases.lifecycle.can_create import brings_something, head_of_hotfix
from releases.locking import _as_seen, _still_open
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
    """Make a release of what is on staging now; `seen`: its head on the person's page.

    The worker then collects it and opens its pull request.
    """
    now = now or timezone.now()
    heads = Branch.heads(project)
    staging, main = project.staging_branch, project.production_branch
    candidate, base = heads.get(staging), heads.get(main)
    if not candidate or not base:
        raise Refused(
            f"The branches of {project.repository} have not been read yet; see Connections."
        )
    require_seen(actor, seen, "commit")
    if seen and seen != candidate:
        moved = f"{staging} moved from {seen[:7]} to {candidate[:7]}"
        raise Refused(f"{moved} since you opened this page. Review the changes first.")
    if candidate == base:
        raise Refused(f"{staging} equals {main}: nothing to release.")
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
    """Make a hotfix of a pull request into production; `candidate`: its head on the page."""
    now = now or timezone.now()
    number = int(pull) if str(pull).isdecimal() and len(str(pull)) < 10 else 0
    row = PullRequest.objects.filter(project=project, number=number).first()
    head = head_of_hotfix(project, row, str(pull))
    require_seen(actor, candidate, "commit")
    if candidate and candidate != head:
        moved = f"Pull request #{number} moved from {candidate[:7]} to {head[:7]}"
        raise Refused(f"{moved}. Review the changes first.")
    main = project.production_branch
    base = Branch.heads(project).get(main)
    if not base:
        raise Refused(f"{main} of {project.repository} has not been read yet; see Connections.")
    release = _create(project, head, base, actor, row.title if row else "", now, hotfix=number)
    return _begun(release, "hotfix.cut", actor, {"candidate": head, "pull_number": number}, now)


def _begun(
    release: Release, event: str, actor: Actor, data: Mapping[str, object], now: datetime
) -> Release:
    """Return the fresh release with its checklist and its reconciler, told of in the trail."""
    items = checklist_items.copy_to(release)
    mirrors.watch(release.project, now=now)
    job = ReleaseReconciler.objects.create(release=release, created_at=now, wake_at=now)
    wake_now(job, now=now)
    at = release.candidate[:7]
    message = f"{release.name} created at {at} with {len(items)} checklist items."
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
    hotfix: int | None = None,
) -> Release:
    """Return a release named after the day, or the hotfix of this pull request; refuse a second of
    its kind, and a second verdict for one commit.
    """
    kind = ReleaseKind.NORMAL if hotfix is None else ReleaseKind.HOTFIX
    for other in Release.objects.in_preparation().filter(project=project):
        called = f"{other.get_kind_display().capitalize()} {other.name}"
        if other.kind == kind:
            raise Refused(f"{called} is in preparation. Promote or abandon it first.")
        if other.candidate == candidate:
            share = "A release and a hotfix cannot share a commit."
            raise Refused(f"{called} already covers {candidate[:7]}. {share}")
    day = timezone.localtime(now).strftime("%Y.%m.%d")
    number = Release.objects.filter(project=project, kind=kind, name__startswith=f"{day}-").count()
    with refuse_second("Somebody else created a release at the same moment. Open that one."):
        return Release.objects.create(
            project=project,
            kind=kind,
            name=f"{day}-{'' if hotfix is None else 'hotfix-'}{number + 1}",
            pull_number=hotfix,
            candidate=candidate,
            base=base,
            cut_by=actor,
            cut_at=now,
            candidate_at=now,
            notes=notes[:20_000],
        )


@action("release.migrate_staging", "environments.migrate_environment")
def migrate_staging(
    release: Release, *, actor: Actor, candidate: str | None = None, now: datetime | None = None
) -> MigrationRun:
    """Bring staging's databases to the candidate's heads; return the first of their runs."""
    release = Release.objects.select_for_update().select_related("project").get(pk=release.pk)
    _still_open(release, "")
    _as_seen(release, candidate, actor)
    if release.migrations_problem:
        raise Refused(release.migrations_problem)
    staging = Environment.objects.present().of_kind(release.project, EnvironmentKind.STAGING)
    if staging is None:
        raise Refused("There is no staging environment on Railway.")
    commit, name = release.candidate, release.name
    runs = [
        start_migration(
            staging, database=database, actor=actor, commit=commit, release=name, now=now
        )
        for database in _to_migrate(release, staging)
    ]
    return runs[0]


def _to_migrate(release: Release, staging: Environment) -> list[Database]:
    """Return the databases whose new files staging has not run, or that are elsewhere."""
    databases = databases_of(release.project)
    if not databases:
        why = "has no Alembic directory configured, so there is nothing to migrate."
        raise Refused(f"{release.project} {why}")
    if len(databases) == 1:
        return databases
    behind = {
        database.database.pk
        for database in facts_of(release.pk).databases
        if not database.is_staged or not database.is_at_heads(EnvironmentKind.STAGING)
    }
    databases_behind = [database for database in databases if database.pk in behind]
    if not databases_behind:
        raise Refused(
            "Every database of staging is at the release's heads, brought there by the portal."
        )
    return databases_behind


@action("release.abandoned", "releases.abandon_release")
def abandon(release: Release, *, actor: Actor, reason: str, now: datetime | None = None) -> None:
    """Give the release up before it is promoted. Its pull request stays, for people to close."""
    now = now or timezone.now()
    require_reason(reason)
    release = Release.objects.locked(release.pk)
    _still_open(release, "; it cannot be abandoned")
    record.keep(release, now=now)
    release.move_to(ReleaseStatus.ABANDONED, now=now)
    audit.record(
        "release.abandoned", actor=actor, subject=release, sentence=f"“{reason[:500]}”", now=now
    )


@action("release.notes_written", "releases.cut_release")
def write_notes(release: Release, *, actor: Actor, notes: str, now: datetime | None = None) -> None:
    """Replace the release notes."""
    if not release.is_in_preparation:
        status = release.get_status_display()
        raise Refused(f"Release {release.name} is {status}, so its notes can no longer change.")
    Release.objects.filter(pk=release.pk).update(notes=notes[:20_000])
    data, message = {"notes": notes[:20_000]}, f"{len(notes)} characters."
    audit.record(
        "release.notes_written", actor=actor, subject=release, sentence=message, data=data, now=now
    )
