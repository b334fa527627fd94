"""Pasting a credential: tried at once, kept encrypted, used from the next call on."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.contrib.auth.models import User
from django.utils import timezone

from environments.github.transport import Transport
from environments.models import ConnectionCheck, Project
from environments.railway import Railway
from environments.setup import choices
from portal.audit import Actor
from portal.configuration import actions as configuration
from portal.credentials import stored
from portal.jobs import wake_now
from portal.models.configuration import ConfigurationChange
from portal.models.credentials import ServiceCredential
from portal.outbound.credentials import App, checked_token, github_token_kind
from portal.outbound.http import ApiError
from portal.redaction import hold, knowing
from portal.ui.actions import Refused, action

Service, Kind = ServiceCredential.Service, ServiceCredential.Kind
LABELS = {Service.GITHUB.value: "GitHub", Service.RAILWAY.value: "Railway"}


@dataclass(frozen=True)
class CredentialStatus:
    """How one service is connected: `ok`, what the credential is and reaches, and where it comes
    from.
    """

    service: str
    label: str
    ok: bool
    sentence: str
    source: str
    own: bool = False  # whether it is the project's own, not the portal's


@action("credential.set", "portal.change_servicecredential")
def set_credential(
    service: str, *, actor: Actor, token: str, scope: str = "", now: datetime | None = None
) -> str:
    """Keep a pasted token; return a sentence about it. Replacing one takes two people once
    something was promoted.

    What stands around it (spaces, line breaks, quotation marks) is taken off and said. Raise
    `Refused` where the service does not take it.
    """
    now = now or timezone.now()
    if actor is None or service not in LABELS:
        raise Refused("A credential is pasted by a person, for GitHub or Railway.")
    plain = token.strip().strip("\"'").strip()
    try:
        with knowing(plain):
            what, kind = _try(service, plain, scope)
    except ApiError as error:
        raise Refused(f"It was not kept: {error.sentence}") from None
    hold(plain)  # from now on, also while it waits for a second person
    sentence = keep(service, scope, what, {"secret": plain, "kind": kind}, actor=actor, now=now)
    return sentence + (" What stood around it was taken off." if plain != token else "")


@action("credential.set", "portal.change_servicecredential")
def use_the_portals(service: str, *, actor: Actor, scope: str, now: datetime | None = None) -> str:
    """Remove a project's own credential, so that the portal's counts again; return a sentence."""
    if actor is None or not scope or service not in LABELS:
        raise Refused("A person removes the credential of one project.")
    if not ServiceCredential.objects.exclude(secret="").filter(service=service, scope=scope):
        raise Refused("This project has no credential of its own.")
    nothing = {"secret": "", "kind": Kind.TOKEN.value}
    return keep(service, scope, "the portal's credential", nothing, actor=actor, now=now)


def keep(
    service: str,
    scope: str,
    what: str,
    secrets: Mapping[str, str],
    *,
    actor: User,
    now: datetime | None = None,
) -> str:
    """Keep a credential that was tried, or propose it to a second person; return a sentence."""
    now = now or timezone.now()
    row, _ = ServiceCredential.objects.select_for_update().get_or_create(
        service=service, scope=scope, defaults={"secret": "", "changed_at": now}
    )
    was = "the one until now" if _is_set(service, row) else "none"
    change = configuration.propose(
        row, actor=actor, values={}, shown={"credential": (was, what)}, secrets=secrets, now=now
    )
    check, _ = ConnectionCheck.objects.get_or_create(single=True)
    wake_now(check, now=now)
    waits = change is not None and change.state == ConfigurationChange.State.WAITING
    then = "waits for a second person under Changes" if waits else "is used from now on"
    return f"{LABELS[service]}: {what}; it {then}."


def _is_set(service: str, row: ServiceCredential) -> bool:
    names = {
        Service.GITHUB: (settings.GITHUB_TOKEN, settings.GITHUB_APP_ID),
        Service.RAILWAY: (settings.RAILWAY_API_TOKEN, settings.RAILWAY_TOKEN),
    }
    return bool(row.secret) or any(names[Service(service)])


def _try(service: str, token: str, scope: str) -> tuple[str, str]:
    """Return what the token is and reaches, in words, and its kind. Raise `ApiError`."""
    checked_token(token, "The token", LABELS[service])
    if service == Service.GITHUB:
        return f"a {github_token_kind(token)}{tried(service, token, scope)}", Kind.TOKEN
    report = choices.railway_token(token)
    if report.kind == "unknown":
        raise ApiError("Railway", "unauthorized", "Railway knows no such token.")
    kind = Kind.PROJECT_TOKEN if report.kind == "project" else Kind.TOKEN
    project = Project.objects.filter(slug=scope).first() if scope else None
    if project is not None:
        header = "project" if kind == Kind.PROJECT_TOKEN else "bearer"
        Railway(token=token, kind=header).project(project.railway_project_id)
    return f"a token of the kind {report.kind}", kind


def tried(service: str, credential: str | App, scope: str) -> str:
    """Return what a GitHub credential says of itself: its scopes, and when it ends; ", …" or "".

    Of a project's own it is tried whether it sees the repository. Raise `ApiError`.
    """
    transport = Transport(settings.GITHUB_API_URL, credential)
    project = Project.objects.filter(slug=scope).first() if scope else None
    own = "/installation/repositories" if isinstance(credential, App) else "/user"
    path = f"/repos/{project.read_as}" if project else own
    scopes, ends = transport.about_itself("read what the token is for", path)
    if scopes is not None and "repo" not in scopes:
        sentence = (
            f"This classic token has the scopes {', '.join(scopes) or 'none'}: it needs repo,"
            " and workflow if releases change .github/workflows."
        )
        raise ApiError("GitHub", "forbidden", sentence)
    facts = [f"with the scopes {', '.join(scopes)}"] if scopes else []
    facts += [f"valid until {ends:%Y-%m-%d}"] if ends else []
    return "".join(f", {fact}" for fact in facts)


def status_of(service: str, scope: str = "") -> CredentialStatus:
    """Return how the portal, or one project, is connected to a service, by asking it. Raise
    nothing.
    """
    row, label = stored.effective(service, scope), LABELS[service]
    source = f"set {row.changed_at:%Y-%m-%d %H:%M} UTC" if row else "environment variables"
    if row is not None and scope:
        source = f"{'this project’s own' if row.scope else 'the portal’s'}, {source}"
    reach = choices.repositories if service == Service.GITHUB else choices.railway_projects
    own = bool(scope and row and row.scope)
    try:
        status = reach(scope=scope)
    except ApiError as error:
        return CredentialStatus(service, label, False, error.sentence, source, own)
    noun = "repositories" if service == Service.GITHUB else "projects"
    return CredentialStatus(
        service, label, bool(status), f"{len(status)} {noun} can be seen.", source, own
    )
