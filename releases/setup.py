"""Setting a project up from what its stand-ins, or a person, say about it."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db import transaction

from environments.models import DatabaseSync, Project, RailwaySync, SmokeTest
from portal import audit
from releases import checklist
from releases.models import GitHubSync


@transaction.atomic
def connect(
    *,
    name: str,
    repository: str,
    railway_project_id: str,
    actor: Any = None,
    smoke: Iterable[tuple[str, str]] = (),
    now: datetime | None = None,
    **settings: Any,
) -> Project:
    """Makes the project, or brings it up to date, with its syncs and smoke tests (service, path). Idempotent."""
    project, created = Project.objects.update_or_create(
        slug=slug_of(name),
        defaults={"name": name, "repository": repository, "railway_project_id": railway_project_id, **settings},
    )
    start_syncs(project)
    for service, path in smoke:
        SmokeTest.objects.get_or_create(project=project, service=service, path=path)
    checklist.ensure_default()
    if created:
        said = f"{name} connects {repository} with Railway."
        audit.record("project.connected", actor=actor, subject=project, sentence=said, now=now)
    return project


def start_syncs(project: Project) -> None:
    """Sees that every source of the project is read by the worker from now on."""
    for sync in (RailwaySync, GitHubSync, DatabaseSync):
        sync.objects.get_or_create(project=project)


def slug_of(name: str) -> str:
    """`name` as it stands in addresses."""
    from django.utils.text import slugify

    return slugify(name)[:50] or "project"
