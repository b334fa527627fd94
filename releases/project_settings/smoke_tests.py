"""Smoke tests that a project lacks: what Railway's health checks propose, and adding one by a
click.
"""

from collections.abc import Iterable
from datetime import datetime

from django.core.exceptions import ValidationError
from django.utils import timezone

from environments.models import Project, ServiceInstance, SmokeTest
from portal import audit
from portal.audit import Actor
from portal.ui.actions import Refused, action

ADD = "environments.add_smoketest"


def proposals(instances: Iterable[ServiceInstance]) -> list[tuple[str, str]]:
    """Return (service, path) of each health check that Railway has for a service with an
    address, once.
    """
    proposed = {
        (instance.service.name, instance.checked_at)
        for instance in instances
        if instance.checked_at and instance.domains
    }
    return sorted(proposed)


def proposed_for(project: Project) -> list[tuple[str, str]]:
    """Return the proposals for both environments of a project that has no smoke test; else none.

    Two queries at most.
    """
    if project.smoke_tests.exists():
        return []
    there = ServiceInstance.objects.long_lived().filter(environment__project=project)
    return proposals(there.select_related("service"))


@action("smoke_test.added", ADD)
def add(
    project: Project, *, actor: Actor, service: str, path: str, now: datetime | None = None
) -> SmokeTest:
    """Add a test that both environments are asked: before a promotion and after it."""
    row = SmokeTest(project=project, service=service.strip()[:200], path=path.strip())
    try:
        row.full_clean()
    except ValidationError as error:
        raise Refused(" ".join(error.messages)) from None
    row.save()
    message = f"Smoke test {row} added: staging is asked before a promotion, production after it."
    audit.record(
        "smoke_test.added",
        actor=actor,
        subject=project,
        sentence=message,
        now=now or timezone.now(),
    )
    return row
