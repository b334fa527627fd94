"""Actions of the page Connections: check the credentials, pin host keys."""

from collections.abc import Sequence
from datetime import datetime

from django.contrib.auth.models import User

from environments.git import host_keys
from environments.models import ConnectionCheck, DeployKey
from portal import audit
from portal.audit import Actor
from portal.configuration.actions import propose
from portal.jobs import wake_now
from portal.models.configuration import ConfigurationChange
from portal.ui.actions import Refused, action


@action("connections.check_requested", "environments.check_connections")
def check_connections(check: ConnectionCheck, *, actor: Actor, now: datetime | None = None) -> None:
    """Have every credential looked at now."""
    check, _ = ConnectionCheck.objects.get_or_create(single=True)  # the first look makes the row
    wake_now(check, now=now)
    message = "Check the connections."
    audit.record(
        "connections.check_requested", actor=actor, subject=check, sentence=message, now=now
    )


@action("configuration.proposed", "environments.change_deploykey")
def pin_host_keys(
    key: DeployKey, *, actor: User, fingerprints: Sequence[str], now: datetime | None = None
) -> ConfigurationChange | None:
    """Propose to pin the host keys whose fingerprints the person compared, out of those that the
    last check saw.

    They take the place of what was pinned before. Return None where that is what is pinned.
    """
    if not fingerprints:
        raise Refused("Choose at least one host key; nothing was pinned.")
    key = DeployKey.objects.select_for_update().defer("private_key").get(pk=key.pk)
    check = ConnectionCheck.objects.first()
    offers = [
        offer
        for diagnosis in (check.found if check else [])
        if diagnosis.get("project") == key.project.slug
        for offer in diagnosis.get("offers", ())
    ]
    shown = {fingerprint: f"{kind} {blob}\n" for kind, blob, fingerprint, _ in offers}
    chosen = list(dict.fromkeys(fingerprints))
    if missing := [fingerprint for fingerprint in chosen if fingerprint not in shown]:
        raise Refused(
            f"The last check did not see the host key {missing[0][:60]}; check again. Nothing "
            "was pinned."
        )
    pinned = "".join(shown[fingerprint] for fingerprint in chosen)
    values = {"host_keys": pinned, "fingerprints": host_keys.fingerprints(pinned)}
    return propose(key, actor=actor, values=values, now=now)
