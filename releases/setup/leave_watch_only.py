"""What is sent to GitHub and Railway when a project leaves *watch only*: first listed, then
sent.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction

from environments.branches import actions as branches
from environments.branches import protection, protection_rules
from environments.clients import github_of
from environments.models import Branch, Project
from portal import audit
from portal.audit import Actor
from portal.outbound.http import ApiError
from portal.ui.actions import Refused
from releases.models.pull_requests import PullRequest
from releases.project_settings import connect, watch_only


@dataclass(frozen=True)
class Outward:
    """One thing that is written outside once, if the person leaves its tick.

    `why_not`: it cannot be done as things are.
    """

    key: str
    sentence: str
    content: str = ""
    ticked: bool = True
    why_not: str = ""


def once(project: Project) -> list[Outward]:
    """Return what can be set up outside now."""
    writes = [*_webhooks(project), *_branches(project)]
    for branch in protection.branches(project):
        body = json.dumps(protection_rules.body_for(project, branch), indent=2, sort_keys=True)
        sentence = f"Replace the classic protection of {branch} on GitHub by this"
        writes.append(Outward(f"protect:{branch}", sentence, body, ticked=False))
    return writes


def _webhooks(project: Project) -> list[Outward]:
    url = settings.PORTAL_URL
    return [
        Outward(
            "webhooks:github",
            f"Add a webhook to {project.repository} on GitHub",
            f"{url}/webhooks/github/",
            why_not=connect.unreachable("GITHUB_WEBHOOK_SECRET", settings.GITHUB_API_URL),
        ),
        Outward(
            "webhooks:railway",
            "Add a webhook to the project on Railway",
            f"{url}/webhooks/railway/",
            why_not=connect.unreachable("RAILWAY_WEBHOOK_SECRET", settings.RAILWAY_API_URL),
        ),
    ]


def _branches(project: Project) -> list[Outward]:
    heads = Branch.heads(project)
    main = heads.get(project.production_branch, "")
    if heads.get(project.staging_branch) or not main:
        return []
    sentence = f"Make the branch {project.staging_branch} at {main[:7]}"
    return [Outward(f"branch:{main}", sentence)]


def from_then_on(project: Project) -> list[str]:
    """Return what the portal sends by itself from then on."""
    pulls = PullRequest.objects.filter(
        project=project, state="open", base=project.staging_branch
    ).count()
    lines = [
        f"The verdict on each release, as the commit status {settings.STATUS_CONTEXT}.",
        "The promotion pull request of each release that is cut.",
        "What people promote, migrate, roll back and repair here.",
    ]
    if project.pull_comments:
        lines.append(f"A comment on pull requests with migrations; {pulls} are open now.")
    if project.previews:
        lines.append(f"A preview for each pull request; {pulls} are open now.")
    if not settings.AUDIT_REPOSITORY:
        lines.append(f"Anchors of the audit trail, as the ref {settings.AUDIT_REF}.")
    return lines


def go_live(
    project: Project, *, actor: User, wanted: Collection[str], now: datetime | None = None
) -> list[str]:
    """Start sending, and do what is `wanted` of `once`; return what did not work, in sentences.

    Raise `Refused`. Where a second person must confirm, nothing is done yet.
    """
    listed = {write.key for write in once(project) if not write.why_not}
    watch_only.start_sending(project, actor=actor, now=now)
    if Project.objects.filter(pk=project.pk, watch_only=True).exists():
        return ["A second person must confirm it first, under Changes; then come back."]
    problems = []
    for key in sorted(listed & set(wanted)):
        what, _, which = key.partition(":")
        try:
            if what == "webhooks":
                problems += _connect(project, which, actor, now)
            elif what == "protect":
                branches.protect_branch(project, actor=actor, branch=which, now=now)
            else:
                _make_staging(project, which, actor, now)
        except (Refused, ApiError) as error:
            problems.append(str(error))
    return problems


def _connect(project: Project, service: str, actor: Actor, now: datetime | None) -> list[str]:
    done = connect.connect_webhooks(project, actor=actor, only=service, now=now)
    return [result.sentence for result in done if not result.ok]


def _make_staging(project: Project, commit: str, actor: Actor, now: datetime | None) -> None:
    sentence = f"Make the branch {project.staging_branch} at {commit[:7]}."
    with transaction.atomic():
        audit.record("setup.branch_made", actor=actor, subject=project, sentence=sentence, now=now)
    github_of(project).create_branch(project.staging_branch, commit)
