"""What people do with channels: add, choose kinds, remove, and have a test sent."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime

from django.conf import settings
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone

from environments.models import Project
from portal import audit
from portal.configuration.actions import propose
from portal.configuration.kinds import kind_of
from portal.jobs import wake_now
from portal.secrets import HiddenText
from portal.ui.actions import NotPermitted, Refused, action
from releases.models import Channel, Notice, Transport
from releases.notifications import feed, transports
from releases.notifications.kinds.registry import KINDS
from releases.notifications.message import Message

READ, MANAGE = "releases.view_release", "releases.manage_channels"
MOST_CHANNELS = 20  # of one person


@action("channel.added", READ)
def add_channel(
    project: Project | None,
    *,
    actor: User,
    name: str,
    transport: str,
    address: str,
    kinds: Iterable[str],
    personal: bool,
    now: datetime | None = None,
) -> tuple[Channel, str]:
    """Add a channel for `project` (None: every project); return it with the signing secret,
    shown only now.

    A team's is told nothing until a second person has confirmed what it will be told.
    """
    now, address = now or timezone.now(), address.strip()
    _require_may_add(actor, personal)
    if transport not in Transport.values:
        raise Refused("Choose how to send notifications.")
    if fault := transports.fault_of(transport, address):
        raise Refused(fault)
    secret = transports.new_secret() if transport == Transport.WEBHOOK else ""
    place, chosen = transports.place_of(transport, address), _known(kinds)
    channel = Channel(
        name=name.strip()[:100] or place[:100],
        transport=transport,
        address=HiddenText(address),
        place=place[:300],
        secret=HiddenText(secret) if secret else "",
        project=project,
        person=actor if personal else None,
        created_by=actor,
        created_at=now,
    )
    alone = _alone(channel, actor)
    channel.kinds = chosen if alone else []
    channel.save()
    feed.begin(now)
    how = channel.get_transport_display()
    _record("channel.added", channel, actor, f"Channel {channel.name} added: {how}", now)
    if not alone:
        leads = {"address": ("", f"{how} to {channel.place}")}
        propose(channel, actor=actor, values={"kinds": chosen}, shown=leads, now=now)
    return channel, secret


def _require_may_add(actor: User, personal: bool) -> None:
    """Refuse a team's channel without the permission, and too many of one person."""
    if not personal and not actor.has_perm(MANAGE):
        needs = "need the permission “manage channels”"
        raise NotPermitted(f"You may add channels of your own; those of a team {needs}.")
    if personal and Channel.objects.filter(person=actor).count() >= MOST_CHANNELS:
        raise Refused(f"You have {MOST_CHANNELS} channels already: remove one first.")


@action("channel.changed", READ)
def change_channel(
    channel: Channel, *, actor: User, kinds: Iterable[str], now: datetime | None = None
) -> None:
    """Choose what the channel is told; of a team's this is proposed."""
    channel, chosen = _locked(channel, actor), _known(kinds)
    if not _alone(channel, actor):
        propose(channel, actor=actor, values={"kinds": chosen}, now=now)
        return
    Channel.objects.filter(pk=channel.pk).update(kinds=chosen)
    channel.kinds = chosen
    labels = ", ".join(KINDS[name].label for name in chosen)
    _record("channel.changed", channel, actor, f"Channel {channel.name} is told: {labels}", now)


@action("channel.removed", READ)
def remove_channel(channel: Channel, *, actor: User, now: datetime | None = None) -> None:
    """Remove the channel with what is still on its way to it."""
    channel = _locked(channel, actor)
    _record("channel.removed", channel, actor, f"Channel {channel.name} removed", now)
    channel.delete()


@action("channel.tested", READ)
def test_channel(channel: Channel, *, actor: User, now: datetime | None = None) -> Notice:
    """Send one notification that says it is a test."""
    now = now or timezone.now()
    channel = _locked(channel, actor)
    if not channel.kinds:
        raise Refused("A second person has to confirm this channel before anything is sent to it.")
    if channel.notices.filter(position=None, finished_at=None).exists():
        raise Refused("A test is already on its way.")
    message = Message(
        kind="test",
        title="Release portal: test",
        text=f"{audit.actor_name(actor)} sent this test notification.",
        link=settings.PORTAL_URL + reverse("releases:notifications"),
        project=audit.scope_of(channel),
        at=now.isoformat(),
    )
    notice = Notice.objects.create(
        channel=channel, kind="test", payload=asdict(message), created_at=now, wake_at=now
    )
    wake_now(notice, now=now)
    _record("channel.tested", channel, actor, f"A test was sent to channel {channel.name}", now)
    return notice


def _locked(channel: Channel, actor: User) -> Channel:
    """Return the channel, if it is the actor's own or a team's that they may manage."""
    rows = Channel.objects.select_for_update(of=("self",)).select_related("project")
    row = rows.filter(pk=channel.pk).first()
    if row is None:
        raise Refused("This channel has been removed.")
    if row.person_id != actor.pk and (row.person_id is not None or not actor.has_perm(MANAGE)):
        raise NotPermitted("You may not change this channel.")
    return row


def _alone(channel: Channel, actor: User) -> bool:
    """Return whether one person is enough: for their own channel, or before the first promotion."""
    return channel.person_id is not None or bool(kind_of(channel).alone(channel, actor))


def _known(kinds: Iterable[str]) -> list[str]:
    """Return the kinds that exist, in their order. Refuse none at all."""
    wanted = set(kinds)
    if not (chosen := [name for name in KINDS if name in wanted]):
        raise Refused("Choose at least one kind of notification.")
    return chosen


def _record(event: str, channel: Channel, actor: User, message: str, now: datetime | None) -> None:
    data = {
        "transport": channel.transport,
        "place": "" if channel.transport == Transport.EMAIL else channel.place,
        "kinds": channel.kinds,
        "personal": channel.person_id is not None,
    }
    audit.record(event, actor=actor, subject=channel, sentence=f"{message}.", data=data, now=now)
