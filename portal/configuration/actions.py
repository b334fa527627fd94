"""Proposing a change, confirming it as a second person, declining it."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.apps import apps
from django.contrib.auth.models import User
from django.db.models import Model
from django.utils import timezone

from portal import audit
from portal.audit import Actor
from portal.configuration.kinds import CONFIRM, Values, kind_of, stored
from portal.configuration.signing import require as require_signer
from portal.models.configuration import ConfigurationChange
from portal.secrets import HiddenText
from portal.ui.actions import Refused, action, refuse_second, require

State = ConfigurationChange.State


def propose(
    obj: Model,
    *,
    actor: User,
    values: Values,
    shown: Mapping[str, tuple[str, str]] | None = None,
    secrets: Mapping[str, str] | None = None,
    now: datetime | None = None,
) -> ConfigurationChange | None:
    """Propose new `values` for guarded fields of `obj`; apply them at once where one person is
    enough.

    Of `secrets` only `shown` (field → from, to, in words) is ever read by people. Return None
    where nothing differs. Raise `Refused`. Call it in the transaction of the form; the caller
    records a refusal.
    """
    now, kind = now or timezone.now(), kind_of(obj)
    require(actor, kind.permission)
    known = kind.read(obj)
    changes = _differing({name: (known.get(name), to) for name, to in values.items()})
    # Always a change: the words stand for a secret, which may differ where they do not.
    changes |= {name: {"from": old, "to": new} for name, (old, new) in (shown or {}).items()}
    if not changes:
        return None
    kind.refuse(obj, known, _side(changes, "to"), actor)
    alone = kind.alone(obj, actor)
    change = _create(obj, changes, secrets or {}, actor, now)
    if alone:
        kind.write(obj, values, secrets or {})
        return _applied(change, obj, actor=actor, alone=alone, now=now)
    sentence = f"Proposed for {change.label}: {change.words}."
    _record("configuration.proposed", change, sentence, actor, now)
    return change


def record_alone(
    obj: Model, before: Values, *, actor: User, alone: str, now: datetime | None = None
) -> ConfigurationChange | None:
    """Keep what a form has changed of guarded fields without a second person, and why; None where
    nothing differs.
    """
    now, kind = now or timezone.now(), kind_of(obj)
    after = kind.read(stored(type(obj)).get(pk=obj.pk))
    changes = _differing({name: (before.get(name), after.get(name)) for name in before | after})
    if not changes:
        return None
    kind.refuse(obj, before, _side(changes, "to"), actor)
    return _applied(_create(obj, changes, {}, actor, now), obj, actor=actor, alone=alone, now=now)


def _differing(pairs: Mapping[str, tuple[object, object]]) -> Values:
    return {name: {"from": old, "to": new} for name, (old, new) in pairs.items() if old != new}


def _side(values: Values, side: str) -> Values:
    return {name: value[side] for name, value in values.items()}


def _create(
    obj: Model, values: Values, secrets: Mapping[str, str], actor: User, now: datetime
) -> Any:
    name, kept = f"{obj._meta.verbose_name} {obj}", json.dumps(secrets) if secrets else ""
    with refuse_second(
        f"A change of {name} already needs a second person. Confirm or decline that first."
    ):
        return ConfigurationChange.objects.create(
            kind=obj._meta.label_lower,
            object_id=obj.pk,
            label=name[:200],
            proposed_by=actor,
            proposed_at=now,
            scope=audit.scope_of(obj),
            values=values,
            secrets=kept,
        )


@action("configuration.confirmed", CONFIRM, guarded=True)
def confirm_change(
    change: ConfigurationChange, *, actor: User, now: datetime | None = None
) -> ConfigurationChange:
    """Apply what somebody else proposed, if it still says what is there now."""
    now = now or timezone.now()
    change = _waiting(change)
    if actor is None or actor.pk == change.proposed_by_id:
        raise Refused("You proposed this change, so a second person must confirm it.")
    require_signer(actor, CONFIRM)
    return _apply(change, actor=actor, now=now)


@action("configuration.declined", "portal.view_configurationchange")
def decline_change(
    change: ConfigurationChange, *, actor: User, now: datetime | None = None
) -> None:
    """Drop a proposal: whoever made it takes it back, anybody who may confirm declines it."""
    now = now or timezone.now()
    change = _waiting(change)
    own = actor is not None and actor.pk == change.proposed_by_id
    if not own:
        require(actor, CONFIRM)
    state = State.WITHDRAWN if own else State.DECLINED
    ConfigurationChange.objects.filter(pk=change.pk).update(
        state=state, decided_by=actor, decided_at=now, secrets=""
    )
    sentence = f"{'Withdrawn' if own else 'Declined'} for {change.label}: {change.words}."
    _record("configuration.declined", change, sentence, actor, now)


def _waiting(change: ConfigurationChange) -> ConfigurationChange:
    rows = ConfigurationChange.objects.select_for_update(of=("self",))
    row = rows.select_related("proposed_by").get(pk=change.pk)
    if row.state != State.WAITING:
        raise Refused(f"This change was {row.get_state_display()} already.")
    return row


def _apply(change: ConfigurationChange, *, actor: User, now: datetime) -> ConfigurationChange:
    rows = stored(apps.get_model(change.kind)).select_for_update(of=("self",))
    obj = rows.filter(pk=change.object_id).first()
    if obj is None:
        raise Refused(f"{change.label} no longer exists. Decline the change.")
    _refuse_outdated(change, obj, actor)
    secrets = change.secrets.reveal() if isinstance(change.secrets, HiddenText) else "{}"
    kind_of(obj).write(obj, _side(change.values, "to"), json.loads(secrets))
    return _applied(change, obj, actor=actor, alone="", now=now)


def _applied(
    change: ConfigurationChange, obj: Model, *, actor: User, alone: str, now: datetime
) -> ConfigurationChange:
    """Mark the change as made, with what follows from it, and its event."""
    change.state, change.decided_by, change.decided_at = State.APPLIED, actor, now
    change.alone, change.secrets = alone, ""
    change.save(update_fields=["state", "decided_by", "decided_at", "alone", "secrets"])
    after = kind_of(obj).applied(change, obj, now=now)
    how = (
        f"at once, for {alone}" if alone else f"proposed by {audit.actor_name(change.proposed_by)}"
    )
    sentence = f"Changed {change.label}: {change.words} ({how}). {after}".strip()
    _record("configuration.confirmed", change, sentence, actor, now)
    return change


def _refuse_outdated(change: ConfigurationChange, obj: Model, actor: User) -> None:
    """Require that the giver may still make the proposal, and that it begins at what is there."""
    kind, proposer = kind_of(obj), change.proposed_by
    if not proposer.is_active or not proposer.has_perm(kind.permission):
        who = audit.actor_name(proposer)
        raise Refused(f"{who} may no longer propose this. Decline it and propose it again.")
    kind.refuse_second(change, obj, actor)
    known = kind.read(obj)
    only_said = {"password", "address", "credential"}  # never read
    moved = [
        name
        for name, value in change.values.items()
        if name not in only_said and known.get(name) != value["from"]
    ]
    if moved:
        names = ", ".join(moved)
        raise Refused(f"{names} changed since this was proposed. Decline it and propose it again.")


def _record(
    action: str, change: ConfigurationChange, sentence: str, actor: Actor, now: datetime
) -> None:
    data = {
        "change": change.pk,
        "kind": change.kind,
        "object": change.object_id,
        "values": change.values,
        "proposed_by": change.proposed_by_id,
        "alone": change.alone,
    }
    audit.record(action, actor=actor, subject=change, sentence=sentence, data=data, now=now)
