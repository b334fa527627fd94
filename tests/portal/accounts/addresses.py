"""Every address of the portal, with rows behind it, found by walking its URL configuration."""

import re
from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.urls import get_resolver
from django.utils import timezone

from environments.models import (
    DeployKey,
    Finding,
    MigrationRun,
    Preview,
    PreviewVariable,
    ProjectProposal,
    Rehearsal,
    ServiceInstance,
    SmokeTest,
    StagingReset,
    VariableRule,
)
from portal.models.webhooks import WebhookDelivery
from releases.models import Channel
from releases.models.freezes import Freeze
from releases.models.releases import Release
from tests.factory import (
    CANDIDATE,
    make_advice,
    make_downgrade,
    make_people,
    make_plan_row,
    make_project,
    make_promotion,
    make_rehearsal,
    make_release,
    make_rollback,
    make_run,
    make_stamp,
)


def furnish() -> dict[str, Any]:
    """A row of nearly every kind; to the usual people come erin, an administrator and no
    superuser, and norole.
    """
    from django.contrib.auth.models import Group, User

    people = make_people()
    people["erin"] = User.objects.create(username="erin", is_staff=True)
    people["erin"].groups.set(Group.objects.filter(name="Administrators"))
    people["norole"] = User.objects.create(username="norole", is_staff=True)
    project = make_project()
    release = make_release(project, by=people["alice"])
    now = timezone.now()
    make_plan_row(release)
    make_rehearsal(release)
    make_run(project)
    make_promotion(release, by=people["alice"], at="deploy", failed=True)
    make_advice(release)
    make_rollback(release, by=people["alice"])
    make_downgrade(release, by=people["alice"])
    Finding.objects.create(
        project=project, kind="unreadable", subject="backend", sentence="Sealed.", attestable=True
    )
    DeployKey.objects.create(
        project=project,
        private_key="x",
        kind="ed25519",
        public_key="p",
        fingerprint="f",
        changed_at=now,
    )
    Preview.objects.create(
        project=project,
        number=7,
        branch="b",
        head=CANDIDATE,
        head_at=now,
        created_at=now,
        wake_at=now,
    )
    PreviewVariable.objects.create(project=project, service="backend", name="A", value="v")
    SmokeTest.objects.create(project=project, service="backend", path="/health")
    make_stamp(project, by=people["alice"])
    StagingReset.objects.create(
        project=project,
        staging_head=CANDIDATE,
        main_head="b" * 40,
        reason="r",
        requested_by=people["alice"],
        requested_at=now,
    )
    VariableRule.objects.create(project=project, kind="present", service="backend", name="A")
    Freeze.objects.create(project=project, reason="r", started_by=people["alice"], started_at=now)
    Channel.objects.create(
        name="n",
        transport="webhook",
        address="https://hooks.example.com/x",
        secret="s",
        place="hooks.example.com",
        kinds=["health"],
        project=project,
    )
    ProjectProposal.objects.create(
        repository="acme/other",
        railway_project_id="p",
        asked_by=people["erin"],
        status="succeeded",
        found=FOUND,
    )
    WebhookDelivery.objects.create(
        source="github", delivery="g", event="push", size=2, outcome="handled", received_at=now
    )
    return people


FOUND = {
    "fields": {"name": "other", "staging_branch": "staging", "production_branch": "main"},
    "databases": [{"name": "main", "alembic": "alembic.ini"}],
    "smoke": [{"service": "backend", "path": "/health"}],
    "environments": [{"name": "staging", "branch": "staging"}],
    "services": ["backend"],
    "previews": [],
    "protection": ["main: not protected."],
    "can": [],
    "cannot": [],
    "notes": [],
}

# What stands in an address by its name: the rows whose number, or whose slug, it takes.
_ROWS: tuple[tuple[str, Any], ...] = (
    ("release", Release),
    ("item", apps.get_model("releases", "ChecklistItem")),
    ("reset", StagingReset),
    ("branch-repair", ServiceInstance),
    ("push-repair", ServiceInstance),
    ("head-deploy", ServiceInstance),
    ("proposal", ProjectProposal),
    ("preview-variable-remove", PreviewVariable),
    ("preview", Preview),
    ("environment-", apps.get_model("environments", "Environment")),
    ("service-place", apps.get_model("environments", "Service")),
    ("stamp-ask", apps.get_model("environments", "DatabaseStatus")),
    ("stamp", apps.get_model("environments", "Stamp")),
    ("schema-compare", apps.get_model("environments", "DatabaseStatus")),
    ("finding-", Finding),
    ("migration", MigrationRun),
    ("channel", Channel),
    ("rehearsal", Rehearsal),
    ("task-log", Release),
)
VERBS = {
    "release-do": "notes",
    "item-do": "untick",
    "project-do": "freeze",
    "change-do": "confirm",
    "channel-do": "kinds",
}


def every() -> Iterator[tuple[str, str, str]]:
    """Name, pattern and a real address of every entry of the URL configuration."""
    for pattern, name in _walk(get_resolver().url_patterns):
        yield name or pattern, pattern, "/" + _filled(name or "", pattern)


def _walk(patterns: Any, before: str = "") -> Iterator[tuple[str, str | None]]:
    for pattern in patterns:
        if hasattr(pattern, "url_patterns"):
            yield from _walk(pattern.url_patterns, before + str(pattern.pattern))
        else:
            yield before + str(pattern.pattern), pattern.name


def _filled(name: str, pattern: str) -> str:
    if model := re.match(r"admin/(\w+)/(\w+)/<", pattern):
        row = apps.get_model(*model.groups()).objects.order_by("pk").first()
        return re.sub(r"<(?:path:)?(?:object_)?id>", str(row.pk if row else 999_999), pattern)
    if pattern.startswith("admin/^"):
        return "admin/environments/"
    if pattern.startswith("admin/("):
        return "admin/nothing/here/"
    row = next((rows.objects.first() for begins, rows in _ROWS if name.startswith(begins)), None)
    filled = re.sub(r"<int:pk>", str(row.pk if row else 1), pattern)
    filled = filled.replace("<int:position>", "1").replace("<slug:kind>", "release")
    filled = filled.replace("<slug:slug>", "inspector")
    filled = filled.replace("<str:secret>", "wrong").replace("<slug:key>", "rules")
    filled = filled.replace("<slug:verb>", VERBS.get(name, ""))
    return re.sub(r"<(?:path:)?\w+>", "1", filled)
