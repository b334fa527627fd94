"""What Railway shows of a preview: its environment, and the services that a copy can run."""

from dataclasses import dataclass

from environments.clients import railway_of
from environments.models import ENDED_BADLY, Preview
from environments.railway import Deployment, ProjectTree, Railway, ServiceInstance
from environments.railway import Environment as Place
from environments.services.expected import meant
from environments.smoke.probe import address_of


@dataclass(frozen=True)
class Seen:
    """Railway as this step sees it.

    `place`: the preview's own environment; `other`: one of its name, not ours.
    """

    railway: Railway
    tree: ProjectTree
    staging: Place | None
    place: Place | None
    other: Place | None


def look_at(job: Preview) -> Seen:
    railway = railway_of(job.project)
    tree = railway.project(job.project.railway_project_id)
    wanted = job.project.staging_environment
    lasting = [environment for environment in tree.environments if not environment.is_ephemeral]
    name = meant(wanted, (environment.name for environment in lasting))
    staging = next((environment for environment in lasting if environment.name == name), None)
    ours = next(
        (environment for environment in tree.environments if environment.id == job.environment_id),
        None,
    )
    others = [
        environment
        for environment in environments_for(job, tree)
        if environment.id != job.environment_id
    ]
    if ours is None and not job.environment_id and job.asked_at is not None:
        # There was none of that name when we asked: what has appeared since is what we asked for.
        named = [other for other in others if other.name.lower() == job.name]
        ours = next(
            (
                environment
                for environment in named
                if environment.is_ephemeral and environment.pr_number is None
            ),
            None,
        )
        others = [other for other in others if other is not ours]
    return Seen(railway, tree, staging, ours, others[0] if others else None)


def environments_for(job: Preview, tree: ProjectTree) -> list[Place]:
    """Return environments of the preview's name, or made by Railway for its pull request."""
    return [
        environment
        for environment in tree.environments
        if environment.name.lower() == job.name or environment.pr_number == job.number
    ]


def copied_services(place: Place) -> list[ServiceInstance]:
    """Return the services that a copy can run: what was only uploaded has no source."""
    return [
        instance
        for instance in place.instances
        if instance.repo
        or instance.image
        or instance.latest_deployment
        or place.branch_of(instance.service_id)
    ]


def is_of_repository(job: Preview, instance: ServiceInstance) -> bool:
    """Return whether the service is built from the project's repository."""
    return job.project.is_own(instance.repo)


def is_from(job: Preview, instance: ServiceInstance, latest: Deployment | None) -> bool:
    ours = is_of_repository(job, instance)
    return latest is not None and (latest.commit == job.head or not ours)


def is_at_head(job: Preview, instance: ServiceInstance, latest: Deployment | None) -> bool:
    ended_badly = latest is not None and latest.status in ENDED_BADLY
    return not ended_badly and is_from(job, instance, latest)


def in_words(instance: ServiceInstance) -> dict[str, str]:
    latest = instance.latest_deployment
    domain = instance.domains[0].domain if instance.domains else ""
    return {
        "name": instance.service_name,
        "status": latest.status.lower() if latest else "not deployed",
        "commit": (latest.commit if latest else "") or "",
        "address": (address_of(domain, "/") or "") if domain else "",
        "log": latest.url if latest else "",
    }
