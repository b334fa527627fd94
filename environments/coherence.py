"""What must agree between branches, environments and services, as pure rules over our rows."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db.models import Q

from environments.models import (
    ENDED_BADLY,
    SERVING,
    Branch,
    Deployment,
    Environment,
    FindingKind,
    Project,
    Service,
    ServiceInstance,
)

# Findings of these kinds are opened and closed by comparison alone.
KINDS = (
    FindingKind.BRANCH,
    FindingKind.MISSING,
    FindingKind.BEHIND,
    FindingKind.ADDRESS,
    FindingKind.SAME,
    FindingKind.STRAY,
    FindingKind.UNREADABLE,
    FindingKind.SCHEMA,
    FindingKind.ROLLED_BACK,
    FindingKind.PUSH,
    FindingKind.TWICE,
)
# What is shown beside a release and does not stop it.
BESIDE = (FindingKind.PROTECTION, FindingKind.BYPASS, FindingKind.ROLLED_BACK)


@dataclass(frozen=True)
class Problem:
    """One thing that is not as it should be."""

    kind: str
    subject: str
    sentence: str
    attestable: bool = False


def expected_branches(project: Project) -> dict[str, str]:
    """Kind of environment → the branch it must deploy from."""
    return {"staging": project.staging_branch, "production": project.production_branch}


def problems(project: Project) -> list[Problem]:
    """Every problem of the two long-lived environments. Five queries."""
    expected = expected_branches(project)
    named = list(Environment.objects.filter(project=project, gone_at=None))
    environments = [one for one in named if one.kind in expected]
    services = list(Service.objects.filter(project=project, gone_at=None))
    instances = list(
        ServiceInstance.objects.filter(environment__in=environments, service__in=services).select_related(
            "service", "environment"
        )
    )
    return [
        *_missing(project, environments, services, instances),
        *_twice(project, named),
        *_branches(project, instances, expected),
        *_pushes(project, instances),
        *_behind(project, instances, expected),
    ]


def expected_names(project: Project) -> dict[str, str]:
    """Kind of environment → what it is called on Railway."""
    return {"staging": project.staging_environment, "production": project.production_environment}


def _missing(
    project: Project,
    environments: Iterable[Environment],
    services: Iterable[Service],
    instances: Iterable[ServiceInstance],
) -> Iterator[Problem]:
    by_kind = {environment.kind: environment for environment in environments}
    for kind, name in expected_names(project).items():
        if kind not in by_kind:
            yield Problem(FindingKind.MISSING, kind, f"There is no environment named {name} on Railway.")
    present = {(instance.service_id, instance.environment.kind) for instance in instances}
    for service in services:
        kinds = {kind for kind in by_kind if (service.pk, kind) in present}
        for kind in by_kind.keys() - kinds:
            if kinds:
                said = f"{service.name} runs in {', '.join(sorted(kinds))} but not in {kind}."
                yield Problem(FindingKind.MISSING, f"{service.name} in {kind}", said)


def _twice(project: Project, environments: Iterable[Environment]) -> Iterator[Problem]:
    for name in expected_names(project).values():
        found = [one for one in environments if one.name == name]
        if len(found) > 1:
            said = f"Railway has {len(found)} environments named {name}; the oldest is meant"
            yield Problem(FindingKind.TWICE, name, f"{said}: rename or delete the others.")


def _pushes(project: Project, instances: Iterable[ServiceInstance]) -> Iterator[Problem]:
    for instance in instances:
        ours = instance.repository.lower() == project.repository.lower()
        if ours and instance.autodeploy is False:
            said = f"{instance} is not deployed when {instance.branch or 'its branch'} is pushed to; it should be."
            yield Problem(FindingKind.PUSH, str(instance), said)


def _branches(project: Project, instances: Iterable[ServiceInstance], expected: dict[str, str]) -> Iterator[Problem]:
    for instance in instances:
        wanted, subject = expected[instance.environment.kind], str(instance)
        if not instance.repository:
            continue  # an image or a database: it follows no branch
        if instance.repository.lower() != project.repository.lower():
            said = f"{subject} is built from {instance.repository}, not from {project.repository}."
            yield Problem(FindingKind.BRANCH, subject, said)
        elif not instance.branch:
            yield Problem(FindingKind.BRANCH, subject, f"{subject} follows no branch; it should follow {wanted}.")
        elif instance.branch != wanted:
            said = f"{subject} follows {instance.branch}; it should follow {wanted}."
            yield Problem(FindingKind.BRANCH, subject, said)


def _behind(project: Project, instances: list[ServiceInstance], expected: dict[str, str]) -> Iterator[Problem]:
    """What was pushed and Railway skipped, failed or never began to deploy, beyond the grace time."""
    grace = timedelta(seconds=settings.DEPLOY_GRACE_SECONDS)
    branches = {row.name: row for row in Branch.objects.filter(project=project, name__in=expected.values())}
    current: dict[int, list[Deployment]] = {}
    for one in Deployment.objects.filter(Q(is_latest=True) | Q(is_active=True), instance__in=instances):
        current.setdefault(one.instance_id, []).append(one)
    for instance in instances:
        branch = branches.get(instance.branch)
        ours = instance.repository.lower() == project.repository.lower()
        if not ours or branch is None or instance.branch != expected[instance.environment.kind]:
            continue
        if not branch.head or branch.head_at is None or branch.head_at + grace > (instance.seen_at or branch.head_at):
            continue
        said = _not_live(current.get(instance.pk, []), branch.head)
        if said and instance.rolled_back_from == branch.head:
            back = f"{instance} was rolled back by people: {branch.name} is still at {branch.head[:7]}."
            after = "The next release must revert or correct what it brought."
            yield Problem(FindingKind.ROLLED_BACK, str(instance), f"{back} {after}")
        elif said:
            yield Problem(
                FindingKind.BEHIND, str(instance), f"{branch.name} is at {branch.head[:7]}, {instance} {said}."
            )


def _not_live(deployments: list[Deployment], head: str) -> str:
    """What is wrong with a service whose branch is at `head`; nothing while that is on its way."""
    if any(one.is_active and one.commit == head and one.status in SERVING for one in deployments):
        return ""
    latest = next((one for one in deployments if one.is_latest), None)
    serving = next((one.commit[:7] for one in deployments if one.is_active and one.status in SERVING), "")
    serves = f"serves {serving or 'no known commit'}"
    if latest is None or latest.commit != head:
        return f"{serves}, and Railway did not begin to deploy it"
    if latest.status in ENDED_BADLY:
        return f"{serves}: its deployment was {latest.status.lower()}"
    return ""
