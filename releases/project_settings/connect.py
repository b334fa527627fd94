"""Connects a project: creates its row, syncs and checklists, and registers webhooks."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from urllib.parse import urlsplit

from django.conf import settings as configured
from django.db import transaction
from django.db.models import Model

from environments.clients import github_of, railway_of
from environments.models import (
    ConnectionCheck,
    CredentialWatch,
    Database,
    DatabaseSync,
    Project,
    ProtectionSync,
    RailwaySync,
    SmokeTest,
)
from environments.webhooks import EVENTS as RAILWAY_EVENTS
from portal import audit
from portal.audit import Actor, row_changes
from portal.jobs import AuditWatch
from portal.outbound.http import ApiError, is_loopback
from portal.webhooks.secrets import secret_fault
from releases.checklist import items
from releases.models.pull_requests import BranchScan, GitHubSync
from releases.webhooks import EVENTS as GITHUB_EVENTS

CHILDREN: list[tuple[type[Model], str]] = [(Database, "project"), (SmokeTest, "project")]


@transaction.atomic
def connect(
    *,
    name: str,
    repository: str,
    railway_project_id: str,
    actor: Actor = None,
    alembic: str = "",
    databases: Iterable[Mapping[str, object]] = (),
    smoke: Iterable[tuple[str, str]] = (),
    pages: Iterable[tuple[str, str]] = (),
    now: datetime | None = None,
    **settings: object,
) -> Project:
    """Make the project, or bring it up to date, with its syncs, checklists and smoke tests.

    Idempotent.

    `databases`: fields of each `Database`, its name among them; `alembic` is short for one with
    that directory.
    `smoke` holds (service, path), `pages` what is looked at after a promotion: (name, path).
    """
    known = Project.objects.filter(slug=slug_of(name)).first()
    before = row_changes.with_children(known, CHILDREN, lock=True) if known else {}
    fields = {"name": name, "repository": repository, "railway_project_id": railway_project_id}
    project, created = Project.objects.update_or_create(
        slug=slug_of(name), defaults=fields | settings
    )
    items.ensure_for(project, pages=pages)
    start_syncs(project)
    main_database = [{"name": "main", "alembic": alembic}] if alembic else []
    _keep_databases(project, databases or main_database)
    for service, path in smoke:
        SmokeTest.objects.get_or_create(project=project, service=service, path=path)
    after = row_changes.with_children(project, CHILDREN)
    if created:
        message = f"{name} connects {repository} with Railway."
        data = {"changes": row_changes.difference({}, after)}
        audit.record(
            "project.connected", actor=actor, subject=project, sentence=message, data=data, now=now
        )
    else:
        row_changes.record(project, before, after, actor=actor, by="by its set-up")
    return project


def start_syncs(project: Project) -> None:
    """Make sure that every source of the project is read by the worker from now on, and that it has
    checklists.
    """
    items.ensure_for(project)
    for sync in (RailwaySync, GitHubSync, DatabaseSync, ProtectionSync, BranchScan):
        sync.objects.get_or_create(project=project)
    AuditWatch.objects.get_or_create(single=True)
    ConnectionCheck.objects.get_or_create(single=True)
    CredentialWatch.objects.get_or_create(single=True)


def slug_of(name: str) -> str:
    """Return `name` as it stands in addresses."""
    from django.utils.text import slugify

    return slugify(name)[:50] or "project"


def _keep_databases(project: Project, databases: Iterable[Mapping[str, object]]) -> None:
    for position, values in enumerate(databases):
        Database.objects.update_or_create(
            project=project, name=values["name"], defaults={"position": position, **values}
        )


@dataclass(frozen=True)
class Connected:
    """How the webhooks of one service stand: `changed` now, and whether they will come (`ok`)."""

    service: str
    ok: bool
    sentence: str
    changed: bool = False


def connect_webhooks(
    project: Project,
    *,
    actor: Actor = None,
    renew: bool = False,
    only: str = "",
    now: datetime | None = None,
) -> list[Connected]:
    """Have GitHub and Railway tell the portal at once when something happens; what is there already
    stays.

    `only` is "github" or "railway": that service alone. `renew` sends GitHub the present secret
    again, because GitHub never shows it. Trouble with one does not stop the other. Each write is
    announced in the trail before it is made, so that none is made without an event.
    """

    def tell(event: str, sentence: str) -> None:
        with transaction.atomic():
            audit.record(event, actor=actor, subject=project, sentence=sentence, now=now)

    done = []
    for service, connect_one in (("GitHub", _connect_github), ("Railway", _connect_railway)):
        if only and service.lower() != only:
            continue
        announce = partial(
            tell, "webhooks.requested", f"{service} is to report what happens in {project}."
        )
        try:
            webhook = connect_one(project, renew, announce)
        except ApiError as error:
            webhook = Connected(service, False, str(error))
        if webhook.changed:
            tell("webhooks.connected", webhook.sentence)
        done.append(webhook)
    return done


def _connect_github(project: Project, renew: bool, announce: Callable[[], None]) -> Connected:
    if fault := unreachable("GITHUB_WEBHOOK_SECRET", configured.GITHUB_API_URL):
        return Connected("GitHub", False, fault)
    github, url = github_of(project), f"{configured.PORTAL_URL}/webhooks/github/"
    secret = configured.GITHUB_WEBHOOK_SECRET
    hook = next((hook for hook in github.hooks() if hook.url == url), None)
    if hook is None:
        announce()
        github.add_hook(url, secret=secret, events=GITHUB_EVENTS)
        from_now = f"GitHub reports what happens in {project.repository} from now on."
        return Connected("GitHub", True, from_now, True)
    as_wanted = hook.active and hook.content_type == "json" and hook.events == set(GITHUB_EVENTS)
    if as_wanted and not renew:
        return Connected(
            "GitHub", True, f"GitHub reports what happens in {project.repository} already."
        )
    announce()
    github.change_hook(hook.id, url, secret=secret, events=GITHUB_EVENTS)
    return Connected(
        "GitHub", True, f"The webhook of {project.repository} was put right on GitHub.", True
    )


def _connect_railway(project: Project, renew: bool, announce: Callable[[], None]) -> Connected:
    if fault := unreachable("RAILWAY_WEBHOOK_SECRET", configured.RAILWAY_API_URL):
        return Connected("Railway", False, fault)
    railway, start = railway_of(project), f"{configured.PORTAL_URL}/webhooks/railway/"
    url = f"{start}{configured.RAILWAY_WEBHOOK_SECRET}/"
    tree = railway.project(project.railway_project_id)
    if not tree.workspace_id:
        message = f"Railway does not say in which workspace {tree.name} is: use a workspace token."
        return Connected("Railway", False, message)
    rules = [
        rule for rule in railway.rules(tree.workspace_id, tree.id) if rule.project_id == tree.id
    ]
    # By the beginning of its address: the rest is the secret, which may have been changed.
    rule = next(
        (rule for rule in rules if any(known.startswith(start) for known in rule.urls)), None
    )
    if rule is None:
        announce()
        railway.add_rule(tree.workspace_id, tree.id, url, RAILWAY_EVENTS)
        return Connected(
            "Railway", True, f"Railway reports every deployment of {tree.name} from now on.", True
        )
    as_wanted = rule.urls == (url,) and rule.event_types == {
        event.lower() for event in RAILWAY_EVENTS
    }
    if as_wanted and rule.ephemeral_environments and not renew:
        return Connected(
            "Railway", True, f"Railway reports every deployment of {tree.name} already."
        )
    announce()
    railway.change_rule(rule.id, url, RAILWAY_EVENTS)
    return Connected("Railway", True, f"The webhook of {tree.name} was put right on Railway.", True)


def unreachable(setting: str, api_url: str) -> str:
    """Return why webhooks of the service at `api_url` would not arrive here, or would not be
    believed.
    """
    if fault := secret_fault(setting):
        return fault
    if is_loopback(urlsplit(configured.PORTAL_URL).hostname) and not is_loopback(
        urlsplit(api_url).hostname
    ):
        return (
            f"Nobody outside can reach {configured.PORTAL_URL}: set PORTAL_URL to the portal's"
            " public address."
        )
    return ""
