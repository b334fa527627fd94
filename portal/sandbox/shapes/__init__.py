"""Named project shapes: how a Railway project and a GitHub repository can look.

One file each, with one `SHAPE`.

A file `two_databases.py` here is the shape `two-databases`; nothing else has to be told of it.
Shapes are laid over each other in the order in which they are named; where two say different things
of one service, both count.
"""

import pkgutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import reduce
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from portal.sandbox.github import GitHubStandIn
    from portal.sandbox.railway import RailwayStandIn
    from portal.sandbox.sample import Sample

KINDS = ("production", "staging")


@dataclass(frozen=True)
class Service:
    """A service in both environments, built from the released repository unless something else is
    said.

    `repository`: another one. `image`: of a registry. `uploaded`: by Railway's CLI, without a
    commit.
    `quiet`: a push that touches nothing watched leaves no deployment at all, where others leave a
    skipped one.
    `rooted`: one that touches nothing below its root directory leaves a skipped one. `config`: the
    file with its configuration as code. `cron`: its schedule. `sleeps`: serverless. `volume`: where
    one is mounted. `public`: it has an address. `start` and `pre_deploy`: its commands.
    """

    name: str
    repository: str = ""
    image: str = ""
    uploaded: bool = False
    root: str = ""
    watch: tuple[str, ...] = ()
    quiet: bool = False
    rooted: bool = False
    config: str = ""
    cron: str = ""
    sleeps: bool = False
    volume: str = ""
    public: bool = True
    start: str = ""
    pre_deploy: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Target:
    """One database of one environment: where its address stands on Railway, and what migrates it.

    `key` is the kind of the environment for the first database, and begins with the name of every
    other.
    """

    key: str
    kind: str
    service: str
    variable: str
    alembic: str


@dataclass(frozen=True)
class Shape:
    """What differs from the plain project: two services, two branches and a permissive repository.

    `sentence` says it to people. `refused`: words of the sentence with which the portal refuses to
    ship it; "": it ships. `environments` and `branches` name what staging and production are
    called. `settings` are fields of the portal's project. `build` makes the repository instead of
    the sample's. `github` and `railway` arrange what is left when everything is there.
    """

    sentence: str
    name: str = ""
    refused: str = ""
    services: tuple[Service, ...] = ()
    environments: Mapping[str, str] = field(default_factory=dict)
    branches: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    build: "Callable[[Path], Sample] | None" = None
    github: "tuple[Callable[[GitHubStandIn], None], ...]" = ()
    railway: "tuple[Callable[[RailwayStandIn], None], ...]" = ()

    def environment(self, kind: str) -> str:
        """Return what the environment of that kind is called on Railway."""
        return self.environments.get(kind, kind)

    def branch(self, kind: str) -> str:
        """Return the branch that the environment of that kind follows."""
        return self.branches.get(kind, PLAIN_BRANCHES[kind])

    def targets(self, alembic: str) -> list[Target]:
        """Return the databases of both environments; `alembic` migrates the one of a shape that
        names none.
        """
        targets_found = []
        for number, settings in enumerate(self.settings.get("databases") or [{"alembic": alembic}]):
            service, variable = (
                settings.get("service", "backend"),
                settings.get("variable", "DATABASE_URL"),
            )
            if any(each.name == settings.get("public_service") for each in self.services):
                service, variable = settings["public_service"], "DATABASE_PUBLIC_URL"
            for kind in KINDS:
                key = f"{settings['name']}_{kind}" if number else kind
                targets_found.append(Target(key, kind, service, variable, settings["alembic"]))
        return targets_found

    def project(self) -> dict[str, Any]:
        """Return fields of the portal's project that this shape asks for."""
        named = {f"{kind}_branch": self.branch(kind) for kind in KINDS}
        named |= {f"{kind}_environment": self.environment(kind) for kind in KINDS}
        return named | dict(self.settings)


PLAIN_BRANCHES = {"staging": "staging", "production": "main"}
PLAIN = Shape(
    "Two services, two branches and a permissive repository.",
    services=(Service("backend", root="/backend"), Service("frontend", root="/frontend")),
)


def names() -> list[str]:
    """Return every shape there is, by name."""
    return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__))


def named(name: str) -> Shape:
    """Return the shape of that name. Raise `KeyError` with a sentence for one that there is not."""
    if name not in names():
        raise KeyError(f"There is no shape {name!r}; there are {', '.join(names())}.")
    module = import_module(f"{__name__}.{name.replace('-', '_')}")
    return replace(module.SHAPE, name=name)


def combined(wanted: Iterable[str] = ()) -> Shape:
    """Return the plain project with these shapes laid over it.

    Raise `KeyError` for an unknown name, and where two of them make a repository of their own.
    """
    shapes = [named(name) for name in wanted]
    builders = [shape.name for shape in shapes if shape.build]
    if len(builders) > 1:
        raise KeyError(f"{' and '.join(builders)} each make a repository: name one of them.")
    return reduce(_over, shapes, PLAIN)


def _over(below: Shape, above: Shape) -> Shape:
    services = {service.name: service for service in below.services}
    for own in above.services:
        services[own.name] = _both(services[own.name], own) if own.name in services else own
    return Shape(
        name=" + ".join(filter(None, (below.name, above.name))),
        sentence=above.sentence if below is PLAIN else f"{below.sentence} {above.sentence}",
        refused=above.refused or below.refused,
        services=tuple(services.values()),
        environments={**below.environments, **above.environments},
        branches={**below.branches, **above.branches},
        settings={**below.settings, **above.settings},
        build=above.build or below.build,
        github=below.github + above.github,
        railway=below.railway + above.railway,
    )


def _both(below: Service, above: Service) -> Service:
    """Return what `above` says of a service, and what `below` says where it says nothing."""
    plain = Service(above.name)
    message = {field.name: getattr(above, field.name) for field in fields(Service)}
    return replace(
        below, **{name: value for name, value in message.items() if value != getattr(plain, name)}
    )
