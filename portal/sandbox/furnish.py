"""A project of one shape on the stand-ins: GitHub with its repository, Railway with its services
live.
"""

import hashlib
from collections.abc import Mapping

from portal.sandbox import sample
from portal.sandbox.github import GitHubStandIn
from portal.sandbox.railway import RailwayStandIn
from portal.sandbox.railway import git as questions
from portal.sandbox.railway.pushes import watched
from portal.sandbox.shapes import KINDS, Service, Shape


def repository(github: GitHubStandIn, shape: Shape, built: sample.Sample) -> None:
    """Serve the sample under the branches' names in `shape`, with the repository's settings."""
    named = {"staging": shape.branch("staging"), "main": shape.branch("production")}
    sample.populate(github, built, named)
    for arrange in shape.github:
        arrange(github)


def project(
    railway: RailwayStandIn, shape: Shape, heads: Mapping[str, str], databases: Mapping[str, str]
) -> None:
    """Make both environments with every service, live at what its branch has; `databases`: key of a
    target → its address.
    """
    with railway.world.saved_once():
        _furnish(railway, shape, heads, databases)


def _furnish(
    railway: RailwayStandIn, shape: Shape, heads: Mapping[str, str], databases: Mapping[str, str]
) -> None:
    for kind in KINDS:
        railway.add_environment(shape.environment(kind))
    for service in shape.services:
        _add(railway, service, heads[shape.branch("staging")])
    for target in shape.targets(""):
        railway.set_variable(
            shape.environment(target.kind), target.service, target.variable, databases[target.key]
        )
    for kind in KINDS:
        for service in shape.services:
            _begin(railway, service, shape, kind, heads)
    for arrange in shape.railway:
        arrange(railway)


def _add(railway: RailwayStandIn, service: Service, commit: str) -> None:
    there = service.root and questions.has(
        railway.world.repository, commit, service.root.strip("/")
    )
    railway.add_service(
        service.name,
        service.root if there else None,
        image=service.image or None,
        repository=(
            None if service.uploaded else service.repository or railway.world.repository_name
        ),
        public=service.public,
        quiet=service.quiet,
        rooted=service.rooted,
        railwayConfigFile=service.config or None,
        volume=service.volume,
        watchPatterns=list(service.watch),
        cronSchedule=service.cron or None,
        sleepApplication=service.sleeps or None,
    )


def _begin(
    railway: RailwayStandIn, service: Service, shape: Shape, kind: str, heads: Mapping[str, str]
) -> None:
    """Make the service as it stands in one environment when nothing has been released for a
    while.
    """
    where = shape.environment(kind)
    for name, value in service.variables.items():
        railway.set_variable(where, service.name, name, value)
    if service.repository:
        railway.set_trigger(service.name, where, "main")
        railway.push_elsewhere(service.repository, "main", elsewhere(service.repository))
        railway.finish_latest(service.name, where, "SUCCESS")
    elif service.image or service.uploaded:
        railway.deploy(service.name, where, live=True)
    else:
        railway.set_trigger(service.name, where, shape.branch(kind))
        served, head = _served(railway, service, shape, kind, heads), heads[shape.branch(kind)]
        railway.deploy(service.name, where, served, live=True)
        if served != head and (service.rooted or service.config):
            railway.skip(service.name, where, head, shape.branch(kind))
    if service.sleeps:
        railway.finish_latest(service.name, where, "SLEEPING")
    if service.start or service.pre_deploy:
        # What is live was deployed before: the commands run from the next deployment on.
        railway.set_command(
            service.name, where, start=service.start or None, pre_deploy=service.pre_deploy or None
        )


def _served(
    railway: RailwayStandIn, service: Service, shape: Shape, kind: str, heads: Mapping[str, str]
) -> str:
    """Return the commit that a service serves: staging stays at production's where nothing that it
    watches has changed.
    """
    old, new = heads[shape.branch("production")], heads[shape.branch(kind)]
    world = railway.world
    changed = questions.changed_paths(world.repository, old, new) if old != new else []
    limits = {
        "watchPatterns": list(service.watch),
        "rooted": service.rooted,
        "rootDirectory": service.root,
    }
    return (
        new if watched(world, limits | {"railwayConfigFile": service.config}, changed, new) else old
    )


def elsewhere(name: str) -> str:
    """Return the one commit of a repository that nobody serves here."""
    return hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()
