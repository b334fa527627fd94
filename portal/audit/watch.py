"""The watch over the audit chain: verified from the last anchor on, then anchored again."""

from datetime import datetime

from django.conf import settings
from django.db import transaction

from portal import audit
from portal.audit import anchors as audit_anchors
from portal.audit import verification
from portal.audit.chain import Link
from portal.jobs import AuditWatch, Outcome, Requeue, host_name


def watch(job: AuditWatch, *, now: datetime) -> Outcome:
    """Look once: what was added since the last anchor is verified, and the head anchored if sound.

    The whole chain is verified by `manage.py verify_audit`. A broken chain is never anchored. One
    whose anchors begin in its midst is, and is not called intact until a person accepts that.
    """
    if restored := audit_anchors.restore():
        _tell("audit.anchors_restored", restored, now)
    begins = audit_anchors.begins_here()
    if begins:
        sentence = f"{host_name()} begins its own file of anchors, beside those of other workers."
        _tell("audit.anchors_begun", sentence, now)
    verdict = verification.verify(since=_last_anchor(), anchors=[] if begins else None)
    sentence, position = verdict.sentence, verdict.first_broken or 0
    if verdict.ok or verdict.begun:
        note = audit_anchors.BEGUN if begins else ""
        position = verification.anchor(now, new_file=begins, note=note).position
        if begins:
            sentence = audit_anchors.Kept(verification.read_anchors()).begun
    if verdict.ok and not begins:
        try:
            message = audit_anchors.write_outside(now)
        except audit_anchors.Lost as lost:
            sentence = str(lost)
        else:
            AuditWatch.objects.filter(pk=job.pk).update(ok=True, at=now, position=position)
            sentence = f"Intact and anchored at event {position}. {message}".strip()
            return Requeue(settings.ANCHOR_SECONDS, sentence)
    AuditWatch.objects.filter(pk=job.pk).update(ok=False, at=now, position=position)
    return Requeue(settings.ANCHOR_SECONDS, sentence)


def _tell(action: str, sentence: str, now: datetime) -> None:
    with transaction.atomic():
        audit.record(action, actor=None, outcome="found", sentence=sentence, now=now)


def last_known() -> AuditWatch | None:
    """Return what the watch saw last, None before its first look."""
    return AuditWatch.objects.exclude(at=None).first()


def _last_anchor() -> Link | None:
    try:
        anchors = verification.read_anchors()
    except verification.UnreadableAnchors:
        return None  # verify says what is wrong with the file
    return anchors[-1].link if anchors else None
