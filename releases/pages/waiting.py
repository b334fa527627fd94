"""What waits for a person: approvals, ticks, rollbacks, changes of the configuration."""

from collections import defaultdict
from collections.abc import Iterable

from django.contrib.auth.models import User
from django.db.models import Exists, OuterRef

from environments.models import Project
from portal.configuration.kinds import CONFIRM
from portal.jobs import STOPPED
from portal.models.configuration import ConfigurationChange
from releases.conditions.registry import counts
from releases.models import Downgrade, Rollback, RollbackStep, RollbackStepName, StepStatus
from releases.models.checklist import ChecklistItem
from releases.models.releases import Release, ReleaseStatus
from releases.pages.board_cards import Card, CardStatus


def waiting_for(cards: Iterable[Card], user: User) -> Iterable[tuple[str, int | None, str]]:
    """Return what waits for `user`: a sentence, the release it is about or None, and the project's
    slug.
    """
    cards = list(cards)
    ticks = _open_ticks(cards) if user.has_perm("releases.tick_checklistitem") else {}
    yield from _going_back(user)
    for card in cards:
        slug = card.project.slug
        for pull in card.pulls if card.may_cut and card.hotfix is None else ():
            yield (
                f"{card.project}: #{pull.number} targets {card.project.production_branch}: "
                "create a hotfix",
                None,
                slug,
            )
        for status in _statuses(card):
            message = _wanted(status, ticks, card.project, user)
            if message:
                yield f"{card.project}: {message}", status.release.pk, slug
        if card.release is None and card.can_cut:
            yield f"{card.project}: {card.project.staging_branch} is ready to release", None, slug


def _statuses(card: Card) -> list[CardStatus]:
    """Return the hotfix, which is in more of a hurry, and the release; both in the same form."""
    normal = (
        CardStatus(card.release, card.promotion, card.state, card.words, card.sentence)
        if card.release
        else None
    )
    return [status for status in (card.hotfix, normal) if status]


def _wanted(status: CardStatus, ticks: dict[int, int], project: Project, user: User) -> str:
    """Return what `user` can do about a release now; empty: nothing."""
    release = status.release
    if status.promotion and status.promotion.status in STOPPED:
        return (
            f"promotion of {release.name} stopped"
            if user.has_perm("releases.repair_release")
            else ""
        )
    if count := ticks.get(release.pk):
        return f"{count} checklist item{'s' if count > 1 else ''} open in {release.name}"
    if _awaits_approval(status, project, user):
        return f"{release.name} needs an approval"
    return f"{release.name} is ready to promote" if _can_promote(status, user) else ""


def _going_back(user: User) -> Iterable[tuple[str, int | None, str]]:
    """Yield the rollbacks and downgrades that wait for `user`, before all else: somebody is having
    a bad day.
    """
    may_sign, may_mend = (
        user.has_perm("releases.approve_release"),
        user.has_perm("releases.repair_release"),
    )
    approving = RollbackStep.objects.filter(
        rollback=OuterRef("pk"), name=RollbackStepName.APPROVE, status=StepStatus.ACTIVE
    )
    jobs = Rollback.objects.unsettled().select_related("release__project")
    for job in jobs.annotate(awaits_approval=Exists(approving)):
        release, project = job.release, job.release.project
        if job.status in STOPPED:
            if may_mend:
                yield (f"{project}: rollback of {release.name} stopped", release.pk, project.slug)
        elif may_sign and job.requested_by_id != user.pk and job.awaits_approval:
            yield (
                f"{project}: rollback of {release.name} needs an approval",
                release.pk,
                project.slug,
            )
    requests = Downgrade.objects.filter(approved_at=None, withdrawn_at=None).select_related(
        "release__project"
    )
    for downgrade in requests if may_sign else ():
        if downgrade.requested_by_id != user.pk:
            message = (
                f"{downgrade.release.project}: downgrade of {downgrade.database} needs an approval"
            )
            yield message, downgrade.release_id, downgrade.release.project.slug


def to_confirm(
    changes: Iterable[ConfigurationChange], user: User
) -> Iterable[tuple[str, int | None, str]]:
    """Return changes of configuration that `user` may confirm; without a project they lead to their
    page.
    """
    for change in changes if user.has_perm(CONFIRM) else ():
        if change.proposed_by_id != user.pk:
            names = ", ".join(name.replace("_", " ") for name in change.values)
            yield f"{change.label}: change of {names} needs a second person", None, ""


def _open_ticks(cards: Iterable[Card]) -> dict[int, int]:
    """Release → how many manual items can be ticked now."""
    shown = {status.release.pk: status.release for card in cards for status in _statuses(card)}
    open_ticks: dict[int, int] = defaultdict(int)
    items = ChecklistItem.objects.filter(release__in=shown, gate="").exclude(
        ticked_at__isnull=False, lapsed_at=None
    )
    for item in items.only("release_id", "phase", "condition"):
        release = shown[item.release_id]
        due = "before" if release.status == ReleaseStatus.OPEN else "after"
        if item.phase == due and counts(item.condition, release):
            open_ticks[item.release_id] += release.status != ReleaseStatus.PROMOTING
    return open_ticks


def _awaits_approval(status: CardStatus, project: Project, user: User) -> bool:
    release = status.release
    return bool(
        release.status == ReleaseStatus.OPEN
        and project.required_approvals
        and release.cut_by_id != user.pk
        and _is_about_approvals(release)
        and user.has_perm("releases.approve_release")
    )


def _is_about_approvals(release: Release) -> bool:
    """Return whether the verdict on the candidate is that approvals are missing."""
    reconciler = getattr(release, "reconciler", None)
    if reconciler is None or reconciler.problem or reconciler.verdict_sha != release.candidate:
        return False
    return bool(reconciler.verdict_gate == "approved")


def _can_promote(status: CardStatus, user: User) -> bool:
    ready = status.state == "pass" and status.release.status == ReleaseStatus.OPEN
    return ready and user.has_perm("releases.promote_release")
