"""A project of one shape on the stand-ins: GitHub with its repository, Railway with its services live."""

import hashlib
from collections.abc import Mapping

from portal.sandbox import sample
from portal.sandbox.github import GitHubStandIn
from portal.sandbox.railway import RailwayStandIn
from portal.sandbox.railway import git as questions
from portal.sandbox.railway.movement import watched
from portal.sandbox.shapes import KINDS, Service, Shape


def repository(github: GitHubStandIn, shape: Shape, built: sample.Sample) -> None:
    """Serves the sample under the branches' names in `shape`, with the repository's settings."""
    named = {"staging": shape.branch("staging"), "main": shape.branch("production")}
    sample.populate(github, built, named)
    for arrange in shape.github:
        arrange(github)


def project(railway: RailwayStandIn, shape: Shape, heads: Mapping[str, str], databases: Mapping[str, str]) -> None:
    """Both environments with every service, live at what its branch has; `databases`: key of a target → its address."""
    with railway.world.saved_once():
        _furnish(railway, shape, heads, databases)


def _furnish(railway: RailwayStandIn, shape: Shape, heads: Mapping[str, str], databases: Mapping[str, str]) -> None:
    for kind in KINDS:
        railway.add_environment(shape.environment(kind))
    for service in shape.services:
        _add(railway, service, heads[shape.branch("staging")])
    for target in shape.targets(""):
        railway.set_variable(shape.environment(target.kind), target.service, target.variable, databases[target.key])
    for kind in KINDS:
        for service in shape.services:
            _begin(railway, service, shape, kind, heads)
    for arrange in shape.railway:
        arrange(railway)


def _add(railway: RailwayStandIn, one: Service, commit: str) -> None:
    there = one.root and questions.has(railway.world.repository, commit, one.root.strip("/"))
    railway.add_service(
        one.name,
        one.root if there else None,
        image=one.image or None,
        repository=None if one.uploaded else one.repository or railway.world.repository_name,
        public=one.public,
        quiet=one.quiet,
        rooted=one.rooted,
        railwayConfigFile=one.config or None,
        volume=one.volume,
        watchPatterns=list(one.watch),
        cronSchedule=one.cron or None,
        sleepApplication=one.sleeps or None,
    )


def _begin(railway: RailwayStandIn, one: Service, shape: Shape, kind: str, heads: Mapping[str, str]) -> None:
    """The service as it stands in one environment when nothing has been released for a while."""
    where = shape.environment(kind)
    for name, value in one.variables.items():
        railway.set_variable(where, one.name, name, value)
    if one.repository:
        railway.set_trigger(one.name, where, "main")
        railway.push_elsewhere(one.repository, "main", elsewhere(one.repository))
        railway.finish_latest(one.name, where, "SUCCESS")
    elif one.image or one.uploaded:
        railway.deploy(one.name, where, live=True)
    else:
        railway.set_trigger(one.name, where, shape.branch(kind))
        served, head = _served(railway, one, shape, kind, heads), heads[shape.branch(kind)]
        railway.deploy(one.name, where, served, live=True)
        if served != head and (one.rooted or one.config):
            railway.skip(one.name, where, head, shape.branch(kind))
    if one.sleeps:
        railway.finish_latest(one.name, where, "SLEEPING")


def _served(railway: RailwayStandIn, one: Service, shape: Shape, kind: str, heads: Mapping[str, str]) -> str:
    """The commit that a service serves: staging stays at production's where nothing that it watches has changed."""
    old, new = heads[shape.branch("production")], heads[shape.branch(kind)]
    world = railway.world
    changed = questions.changed_paths(world.repository, old, new) if old != new else []
    limits = {"watchPatterns": list(one.watch), "rooted": one.rooted, "rootDirectory": one.root}
    return new if watched(world, limits | {"railwayConfigFile": one.config}, changed, new) else old


def elsewhere(name: str) -> str:
    """The one commit of a repository that nobody serves here."""
    return hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()
