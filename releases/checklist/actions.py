"""Ticking checklist items."""

from collections.abc import Sequence
from datetime import datetime

from django.db.models import QuerySet
from django.utils import timezone

from portal import audit
from portal.audit import Actor
from portal.ui.actions import Refused, action
from releases import gates
from releases.gates.sign_off import items_to_sign_off, sign_off_facts
from releases.locking import _as_seen
from releases.models.checklist import ChecklistItem
from releases.models.reconciler import ReleaseReconciler
from releases.models.releases import ACTIVE, Release, ReleaseStatus

NONE_SELECTED = "Select at least one item to tick."


@action("checklist.ticked", "releases.tick_checklistitem")
def tick(
    item: ChecklistItem,
    *,
    actor: Actor,
    note: str = "",
    candidate: str | None = None,
    now: datetime | None = None,
) -> ChecklistItem:
    """Tick a manual item, or attest what a gate cannot see, for the candidate the person saw."""
    return _tick(item, actor, note, candidate, now or timezone.now())


@action("checklist.ticked", "releases.tick_checklistitem")
def tick_several(
    release: Release,
    *,
    actor: Actor,
    items: Sequence[ChecklistItem],
    note: str = "",
    candidate: str | None = None,
    now: datetime | None = None,
) -> None:
    """Tick several manual items of the release, each with an event of its own: all or none.

    What a gate asks a person for is attested by itself: each needs evidence of its own.
    """
    now = now or timezone.now()
    if not items:
        raise Refused(NONE_SELECTED)
    for item in sorted(items, key=lambda item: item.pk):  # in one order: two people never deadlock
        if item.release_id != release.pk:
            raise Refused(f"“{item.text}” belongs to another release. Nothing was ticked.")
        if item.gate:
            raise Refused(f"“{item.text}” is not ticked together with others. Nothing was ticked.")
        _tick(item, actor, note, candidate, now)


def _tick(
    item: ChecklistItem, actor: Actor, note: str, candidate: str | None, now: datetime
) -> ChecklistItem:
    item, release = _locked(item, items_to_sign_off() if _may_sign_off(item) else None)
    _as_seen(release, candidate, actor)
    if item.gate and not _asks_for_a_person(item, now):
        raise Refused(f"“{item.text}” is decided by the portal, not ticked.")
    if item.phase == "after" and release.is_in_preparation:
        raise Refused("Items after promotion open when the release is live in production.")
    if item.is_ticked and item.ticked_candidate == release.candidate:
        return item  # clicked twice: the first person and time stay
    ChecklistItem.objects.filter(pk=item.pk).update(
        ticked_by=actor,
        ticked_at=now,
        ticked_candidate=release.candidate,
        note=note[:2000],
        lapsed_at=None,
    )
    if release.status == ReleaseStatus.VERIFYING:
        ReleaseReconciler.objects.filter(release=release).update(wake_at=now)
    message = f"{item.text}{f': “{note[:500]}”' if note else ''}"
    data = {"item": item.pk, "text": item.text, "note": note[:2000], "candidate": release.candidate}
    audit.record(
        "checklist.ticked", actor=actor, subject=release, sentence=message, data=data, now=now
    )
    return item


@action("checklist.unticked", "releases.tick_checklistitem")
def untick(item: ChecklistItem, *, actor: Actor, now: datetime | None = None) -> ChecklistItem:
    """Take a tick back."""
    now = now or timezone.now()
    item, release = _locked(item)
    if item.ticked_at is None:
        return item
    ChecklistItem.objects.filter(pk=item.pk).update(
        ticked_by=None, ticked_at=None, ticked_candidate="", note="", lapsed_at=None
    )
    data = {"item": item.pk, "text": item.text, "ticked_by": item.ticked_by_id, "note": item.note}
    audit.record(
        "checklist.unticked", actor=actor, subject=release, sentence=item.text, data=data, now=now
    )
    return item


def _locked(
    item: ChecklistItem, items: QuerySet[ChecklistItem] | None = None
) -> tuple[ChecklistItem, Release]:
    """Return the item, out of `items` if given, under a row lock, and its release; refuse of one
    that has ended.
    """
    items = items if items is not None else ChecklistItem.objects.select_related("release__project")
    item = items.select_for_update(of=("self",)).get(pk=item.pk)
    release = item.release
    if release.status not in ACTIVE:
        status = release.get_status_display()
        raise Refused(f"Release {release.name} is {status}; its checklist is closed.")
    return item, release


def _may_sign_off(item: ChecklistItem) -> bool:
    """Return whether the item's gate can ask for a person's word at all."""
    return item.gate in gates.GATES and gates.GATES[item.gate].sign_off


def _asks_for_a_person(item: ChecklistItem, now: datetime) -> bool:
    """Return whether the item's gate cannot decide by itself now.

    A word given before it asks would count unasked later.
    """
    return (
        _may_sign_off(item)
        and gates.GATES[item.gate](sign_off_facts(item, now=now)).state == gates.ATTEST
    )
