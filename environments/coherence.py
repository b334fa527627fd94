"""What must agree between branches, environments and services, as pure rules over our rows."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from environments.models import Environment, FindingKind, Project, Service, ServiceInstance

# Findings of these kinds are opened and closed by comparison alone.
KINDS = (FindingKind.BRANCH, FindingKind.MISSING)


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
    """Every problem of the two long-lived environments. Three queries."""
    expected = expected_branches(project)
    environments = list(Environment.objects.filter(project=project, kind__in=expected, gone_at=None))
    services = list(Service.objects.filter(project=project, gone_at=None))
    instances = list(
        ServiceInstance.objects.filter(environment__in=environments, service__in=services).select_related(
            "service", "environment"
        )
    )
    return [*_missing(environments, services, instances, expected), *_branches(project, instances, expected)]


def _missing(
    environments: Iterable[Environment],
    services: Iterable[Service],
    instances: Iterable[ServiceInstance],
    expected: dict[str, str],
) -> Iterator[Problem]:
    by_kind = {environment.kind: environment for environment in environments}
    for kind in expected:
        if kind not in by_kind:
            yield Problem(FindingKind.MISSING, kind, f"There is no environment named {kind} on Railway.")
    present = {(instance.service_id, instance.environment.kind) for instance in instances}
    for service in services:
        kinds = {kind for kind in by_kind if (service.pk, kind) in present}
        for kind in by_kind.keys() - kinds:
            if kinds:
                said = f"{service.name} runs in {', '.join(sorted(kinds))} but not in {kind}."
                yield Problem(FindingKind.MISSING, f"{service.name} in {kind}", said)


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
