"""Reading for a proposal, accepting it, and starting to send."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TypedDict

from django.core.exceptions import ValidationError
from django.utils import timezone

from environments.models import Project, ProjectProposal
from portal import audit
from portal.audit import Actor
from portal.jobs import JobStatus, wake_now
from portal.ui.actions import Refused, action
from releases.project_settings import connect
from releases.project_settings.guarded import claimed

ADD = "environments.add_project"


class Settings(TypedDict):
    """Fields of the project as the person left them."""

    name: str
    staging_environment: str
    staging_branch: str
    production_environment: str
    production_branch: str
    pre_push: str
    required_approvals: int
    soak_minutes: int
    protected_approvals: int
    second_factor: bool
    previews: bool
    pull_comments: bool


@action("setup.read_requested", ADD)
def propose(
    repository: str, *, actor: Actor, railway: str, now: datetime | None = None
) -> ProjectProposal:
    """Have a repository and a Railway project read for a proposal; nothing is changed."""
    if actor is None:
        raise Refused("A proposal is asked for by a person.")
    job = ProjectProposal.objects.create(
        repository=repository, railway_project_id=railway, asked_by=actor
    )
    wake_now(job, now=now)
    sentence = f"Read {repository} and its Railway project for a proposal."
    audit.record("setup.read_requested", actor=actor, subject=job, sentence=sentence, now=now)
    return job


@action("setup.accepted", ADD)
def accept(
    proposal: ProjectProposal,
    *,
    actor: Actor,
    settings: Settings,
    databases: Sequence[Mapping[str, str]],
    smoke: Sequence[tuple[str, str]],
    checks: Sequence[str],
    now: datetime | None = None,
) -> Project:
    """Make the project as the person left the proposal: rows of the portal, in *watch only*."""
    now = now or timezone.now()
    job = ProjectProposal.objects.select_for_update(of=("self",)).get(pk=proposal.pk)
    if job.status != JobStatus.SUCCEEDED or job.project_id is not None:
        raise Refused("This proposal was accepted already, or could not be read.")
    fields = {"repository": job.repository, "railway_project_id": job.railway_project_id}
    project = Project(**fields, **settings, slug=connect.slug_of(settings["name"]))
    try:
        project.full_clean()
    except ValidationError as error:
        raise Refused(" ".join(error.messages)) from None
    if message := claimed(project, **fields):
        raise Refused(message)
    made = connect.connect(
        actor=actor,
        databases=databases,
        smoke=smoke,
        pages=[],
        now=now,
        required_checks=list(checks),
        protected_checks=list(checks),
        watch_only=True,
        **fields,
        **settings,
    )
    ProjectProposal.objects.filter(pk=job.pk).update(project=made)
    return made
