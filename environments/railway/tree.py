"""A whole project in one call, and more calls only where Railway says that there is more."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from environments.railway import answers
from environments.railway.objects import Environment, ProjectTree, Service
from environments.railway.transport import SERVICE, Transport
from portal.outbound.http import shaped
from portal.outbound.parsing import Malformed, get_path, moment, nullable, optional, text
from portal.outbound.parsing import field as need

MAX_PAGES = 20


@dataclass
class _Gathering:
    """The tree while its pages come in."""

    transport: Transport
    project_id: str
    services: dict[str, Service] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)  # ids of services that are told to be
    environments: dict[str, Environment] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def lacks(self, problem: str) -> None:
        if problem not in self.problems:
            self.problems.append(problem)


def read_tree(transport: Transport, project_id: str) -> ProjectTree:
    """Return the project with services, environments, instances, triggers and deployments.

    Raise `ApiError`.
    """
    seen = _Gathering(transport, project_id)
    top = _page(seen, {})
    following = _add_page(seen, top, {})
    for _ in range(MAX_PAGES):
        if not following["withServices"] and not following["withEnvironments"]:
            break
        following = _add_page(seen, _page(seen, following), following)
    else:
        seen.lacks("The project has more services or environments than are read.")
    _match(seen)
    with shaped(SERVICE):
        return ProjectTree(
            id=need(top, "id", str),
            name=text(need(top, "name", str)),
            workspace_id=optional(top, "workspaceId", str),
            services=tuple(seen.services.values()),
            environments=tuple(seen.environments.values()),
            complete=not seen.problems,
            problems=tuple(seen.problems),
            pr_environments=bool(optional(top, "prDeploys", bool)),
        )


def _page(seen: _Gathering, variables: dict[str, object]) -> dict[str, object]:
    data, errors = seen.transport.ask_leniently(
        "project_tree", projectId=seen.project_id, **variables
    )
    for words in errors:
        seen.lacks(f"Railway did not show everything: {words}.")
    with shaped(SERVICE):
        return need(data, "project", dict)


def _add_page(
    seen: _Gathering, page: Mapping[str, object], variables: dict[str, object]
) -> dict[str, object]:
    """Add what a page holds; return the variables that ask for the next one."""
    following: dict[str, object] = {"withServices": False, "withEnvironments": False}
    if variables.get("withServices", True) and (cursor := _add_nodes(seen, page, "services")):
        following |= {"withServices": True, "servicesAfter": cursor}
    if variables.get("withEnvironments", True) and (
        cursor := _add_nodes(seen, page, "environments")
    ):
        following |= {"withEnvironments": True, "environmentsAfter": cursor}
    return following


def _add_nodes(seen: _Gathering, page: Mapping[str, object], name: str) -> str | None:
    """Add the page's services or environments; return the cursor of their next page."""
    try:
        connection = need(page, name, dict)
        for node in answers.nodes(connection):
            _add_node(seen, name, node)
        return answers.next_page(connection)
    except Malformed as error:
        seen.lacks(f"The project's {name} cannot all be read ({error}).")
        return None


def _add_node(seen: _Gathering, name: str, node: object) -> None:
    try:
        deleted = nullable(node, "deletedAt", str)
        if deleted is not None:
            if moment(deleted) is None:
                raise Malformed("deletedAt is no time")
            if name == "services":
                seen.deleted.add(need(node, "id", str))
            return
        if name == "services":
            service = answers.read_service(node)
            seen.services[service.id] = service
        else:
            environment = answers.read_environment(node, seen.lacks)
            seen.environments[environment.id] = _whole(seen, environment, node)
    except Malformed as error:
        message = text(get_path(node, "name")) or "without a name"
        seen.lacks(f"One of the project's {name} ({message}) cannot be read ({error}).")


def _whole(seen: _Gathering, environment: Environment, node: object) -> Environment:
    """Return `environment` with its further pages of instances and triggers, if it has any."""
    instances, triggers = list(environment.instances), list(environment.triggers)
    readable = environment.readable
    try:
        for _ in range(MAX_PAGES):
            rest = _rest(seen, environment.id, node)
            if rest is None:
                break
            node = rest
            if (listed := get_path(node, "serviceInstances")) is not None:
                instances += [answers.read_instance(it, seen.lacks) for it in answers.nodes(listed)]
            if (listed := get_path(node, "deploymentTriggers")) is not None:
                triggers += map(answers.read_trigger, answers.nodes(listed))
        else:
            raise Malformed("it has too many pages")
        if len({instance.service_id for instance in instances}) < len(instances):
            raise Malformed("it has a service twice")
    except Malformed as error:
        seen.lacks(f"Environment {environment.name} cannot be read in full ({error}).")
        readable = False
    readable = readable and all(instance.readable for instance in instances)
    return replace(
        environment, instances=tuple(instances), triggers=tuple(triggers), readable=readable
    )


def _match(seen: _Gathering) -> None:
    """Note an instance of no service of the project: whose it is cannot be known."""
    known = seen.services.keys() | seen.deleted
    for environment in seen.environments.values():
        if any(instance.service_id not in known for instance in environment.instances):
            seen.lacks(
                f"Environment {environment.name} has an instance of a service that the project does"
                " not name."
            )


def _rest(seen: _Gathering, environment_id: str, node: object) -> dict[str, object] | None:
    """Return the next page of what `node` did not hold in full; None when it held all."""
    instances, triggers = _cursor(node, "serviceInstances"), _cursor(node, "deploymentTriggers")
    if instances is None and triggers is None:
        return None
    data = seen.transport.ask(
        "environment_rest",
        environmentId=environment_id,
        projectId=seen.project_id,
        instancesAfter=instances,
        triggersAfter=triggers,
        withInstances=instances is not None,
        withTriggers=triggers is not None,
    )
    return need(data, "environment", dict)


def _cursor(node: object, name: str) -> str | None:
    connection = get_path(node, name)
    return answers.next_page(connection) if connection is not None else None
