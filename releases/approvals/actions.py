"""Approving a release and accepting its risks."""

from datetime import datetime

from django.utils import timezone

from environments.databases.permission import APPROVE
from portal import audit
from portal.audit import Actor
from portal.configuration.signing import require_second
from portal.jobs import JobStatus
from portal.ui.actions import Refused, action, require_reason
from releases import gates
from releases.gates import edits
from releases.gates.carried import again
from releases.gates.context import Facts, facts_of
from releases.gates.plan import names
from releases.locking import _as_seen, _still_open
from releases.models.approvals import Approval, RiskAcceptance
from releases.models.releases import Release, ReleaseStatus


@action("release.approved", "releases.approve_release", guarded=True)
def approve(
    release: Release,
    *,
    actor: Actor,
    comment: str = "",
    candidate: str | None = None,
    now: datetime | None = None,
) -> Approval:
    """Sign the candidate and its exact migration files. Whoever cut the release cannot."""
    now = now or timezone.now()
    release = Release.objects.select_for_update().select_related("project").get(pk=release.pk)
    _still_open(release, "; it can no longer be approved")
    _as_seen(release, candidate, actor)
    refusal = "You created this release, so a second person must approve it."
    actor = require_second(actor, APPROVE, release.cut_by_id, refusal)
    if release.collected != release.candidate:
        raise Refused("The candidate has just changed and is loading. Try again in a moment.")
    approval, created = Approval.objects.get_or_create(
        release=release,
        user=actor,
        content=gates.content_digest(release),
        lapsed_at=None,
        defaults={"candidate": release.candidate, "comment": comment[:2000], "given_at": now},
    )
    if created:
        data = {name: getattr(approval, name) for name in ("candidate", "content", "comment")}
        message = f"Approved {release.candidate[:7]}{f': “{comment[:500]}”' if comment else ''}"
        audit.record(
            "release.approved", actor=actor, subject=release, sentence=message, data=data, now=now
        )
    return approval


@action("risk.accepted", "releases.approve_release", guarded=True)
def accept_risk(
    release: Release,
    *,
    actor: Actor,
    revision: str,
    sha256: str,
    reason: str,
    candidate: str | None = None,
    now: datetime | None = None,
) -> RiskAcceptance:
    """Take the risks of one revision file, seen with the content `sha256`.

    Whoever cut the release cannot.
    """
    now = now or timezone.now()
    Release.objects.select_for_update().get(pk=release.pk)
    facts = facts_of(release.pk, now=now)
    release = facts.release
    _still_open(release, "; its risks are settled")
    _as_seen(release, candidate, actor)
    refusal = "You created this release, so a second person must accept its risks."
    actor = require_second(actor, APPROVE, release.cut_by_id, refusal)
    require_reason(reason)
    risks = _risks(facts, revision, sha256)
    accepted = RiskAcceptance.objects.create(
        project=release.project,
        release=release,
        revision=revision,
        sha256=sha256,
        risks=risks,
        user=actor,
        reason=reason.strip()[:2000],
        at=now,
    )
    data = {"revision": revision, "sha256": sha256, "risks": risks, "reason": accepted.reason}
    message = f"Risks of {revision} accepted: “{accepted.reason[:500]}”"
    audit.record(
        "risk.accepted", actor=actor, subject=release, sentence=message, data=data, now=now
    )
    return accepted


def _risks(facts: Facts, revision: str, sha256: str) -> list[str]:
    """Return the names of the file's open risks; refuse while they are unknown, or there is none.

    One file may run in several databases: its risks in all of them are taken together.
    """
    release, file = facts.release, (revision, sha256)
    if any((edit["revision"], edit["sha256"]) == file for edit in edits.unaccepted(release)):
        return [edits.ACCEPTED_AS]
    plans = [database.planned for database in facts.databases if database.migrations]
    known = [plan for plan in plans if plan and plan.status == JobStatus.SUCCEEDED]
    if release.collected != release.candidate or len(known) < len(plans):
        raise Refused("The migrations are being analyzed. Try again in a moment.")
    asking = [
        risk
        for plan in known
        for step in plan.unaccepted
        if (step.revision, step.sha256) == file
        for risk in plan.asking(step)
    ]
    if not asking:
        raise Refused("This file has changed, or it has no open risk. Reload the page.")
    return names(asking)


@action("release.carried_confirmed", "releases.promote_release", guarded=True)
def confirm_carried(
    release: Release,
    *,
    actor: Actor,
    candidate: str | None = None,
    names: str = "",
    now: datetime | None = None,
) -> None:
    """Say that rolled-back releases may ship again with this candidate; `names`: as typed."""
    now = now or timezone.now()
    release = Release.objects.select_for_update().get(pk=release.pk)
    _as_seen(release, candidate, actor)
    wanted = again(release.carried)
    if release.status != ReleaseStatus.OPEN or not wanted:
        raise Refused(f"{release.name} ships nothing that was rolled back.")
    if names.replace(",", " ").split() != wanted:
        raise Refused(f"Type {', '.join(wanted)} to confirm that it ships again.")
    kept = {
        "names": wanted,
        "candidate": release.candidate,
        "by": str(actor),
        "at": now.isoformat(),
    }
    Release.objects.filter(pk=release.pk).update(carry_confirmed=kept)
    message = f"{', '.join(wanted)} may ship again with {release.candidate[:7]}."
    audit.record(
        "release.carried_confirmed",
        actor=actor,
        subject=release,
        sentence=message,
        data=kept,
        now=now,
    )
