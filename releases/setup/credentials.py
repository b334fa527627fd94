"""Pasting a credential: tried at once, kept encrypted, used from the next call on."""

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.utils import timezone

from environments.github.transport import Transport
from environments.models import ConnectionCheck
from environments.setup import choices
from portal.audit import Actor
from portal.configuration import actions as configuration
from portal.credentials import stored
from portal.jobs import wake_now
from portal.models import ConfigurationChange
from portal.models.credentials import ServiceCredential
from portal.outbound.credentials import checked_token, github_token_kind
from portal.outbound.http import ApiError
from portal.ui.actions import Refused, action

Service, Kind = ServiceCredential.Service, ServiceCredential.Kind
LABELS = {Service.GITHUB.value: "GitHub", Service.RAILWAY.value: "Railway"}


@dataclass(frozen=True)
class Standing:
    """How one service is connected: `ok`, what the credential is and reaches, and where it comes
    from.
    """

    service: str
    label: str
    ok: bool
    sentence: str
    source: str


@action("credential.set", "portal.change_servicecredential")
def set_credential(
    service: str, *, actor: Actor, token: str, scope: str = "", now: datetime | None = None
) -> str:
    """Keep a pasted token; return a sentence about it. Replacing one takes two people once
    something was promoted.

    What stands around it (spaces, line breaks, quotation marks) is taken off and said. Raises
    `Refused` where the service does not take it.
    """
    now = now or timezone.now()
    if actor is None or service not in LABELS:
        raise Refused("A credential is pasted by a person, for GitHub or Railway.")
    plain = token.strip().strip("\"'").strip()
    try:
        what, kind = _try(service, plain)
    except ApiError as error:
        raise Refused(f"It was not kept: {error.sentence}") from None
    row, _ = ServiceCredential.objects.select_for_update().get_or_create(
        service=service, scope=scope, defaults={"secret": "", "changed_at": now}
    )
    was = "the one until now" if _is_set(service, row) else "none"
    change = configuration.propose(
        row,
        actor=actor,
        values={},
        shown={"credential": (was, what)},
        secrets={"secret": plain, "kind": kind},
        now=now,
    )
    check, _ = ConnectionCheck.objects.get_or_create(single=True)
    wake_now(check, now=now)
    trimmed = " What stood around it was taken off." if plain != token else ""
    waits = change is not None and change.state == ConfigurationChange.State.WAITING
    then = "waits for a second person under Changes" if waits else "is used from now on"
    return f"{LABELS[service]}: {what}; it {then}.{trimmed}"


def _is_set(service: str, row: ServiceCredential) -> bool:
    names = {
        Service.GITHUB: (settings.GITHUB_TOKEN, settings.GITHUB_APP_ID),
        Service.RAILWAY: (settings.RAILWAY_API_TOKEN, settings.RAILWAY_TOKEN),
    }
    return bool(row.secret) or any(names[Service(service)])


def _try(service: str, token: str) -> tuple[str, str]:
    """Return what the token is, in words, and its kind. Raises `ApiError`."""
    checked_token(token, "The token", LABELS[service])
    if service == Service.GITHUB:
        transport = Transport(settings.GITHUB_API_URL, token)
        transport.get("read whose token it is", "/user")
        return f"a {github_token_kind(token)}", Kind.TOKEN
    report = choices.railway_token(token)
    if report.kind == "unknown":
        raise ApiError("Railway", "unauthorized", "Railway knows no such token.")
    kind = Kind.PROJECT_TOKEN if report.kind == "project" else Kind.TOKEN
    return f"a token of the kind {report.kind}", kind


def standing(service: str) -> Standing:
    """Return how the portal is connected to a service, by asking it. Raises nothing."""
    row, label = stored.effective(service), LABELS[service]
    source = f"pasted {row.changed_at:%Y-%m-%d %H:%M} UTC" if row else "environment variables"
    try:
        found = choices.repositories() if service == Service.GITHUB else choices.railway_projects()
    except ApiError as error:
        return Standing(service, label, False, error.sentence, source)
    noun = "repositories" if service == Service.GITHUB else "projects"
    return Standing(service, label, bool(found), f"{len(found)} {noun} can be seen.", source)
