"""What Railway answers, as frozen values; enum values new to us survive as they are."""

from collections.abc import Callable
from dataclasses import replace

from environments.railway.objects import (
    Deployment,
    Domain,
    Environment,
    LogLine,
    PushDeploys,
    Rule,
    Service,
    ServiceInstance,
    Trigger,
)
from portal.outbound.parsing import (
    Malformed,
    commit,
    field,
    get_path,
    moment,
    nullable,
    optional,
    text,
    word,
)


def read_push_deploys(node: object) -> PushDeploys:
    reason = text(optional(node, "reason", str))
    return PushDeploys(field(node, "enabled", bool), field(node, "canEnable", bool), reason)


def read_rule(item: object) -> Rule:
    configs = [get_path(channel, "config") for channel in field(item, "channels", list)]
    urls = (
        get_path(config, "url") for config in configs if word(get_path(config, "type")) == "webhook"
    )
    return Rule(
        id=field(item, "id", str),
        project_id=optional(item, "projectId", str),
        urls=tuple(url for url in urls if isinstance(url, str)),
        event_types=frozenset(word(name) for name in field(item, "eventTypes", list)),
        ephemeral_environments=bool(optional(item, "ephemeralEnvironments", bool)),
    )


def nodes(connection: object) -> list[object]:
    """Return the nodes of a Relay connection; raise `Malformed`."""
    return [field(edge, "node", dict) for edge in field(connection, "edges", list)]


def next_page(connection: object) -> str | None:
    """Return the cursor of the next page, None on the last; raise `Malformed`."""
    info = field(connection, "pageInfo", dict)
    if not field(info, "hasNextPage", bool):
        return None
    if cursor := field(info, "endCursor", str):
        return cursor
    raise Malformed("endCursor is empty")


def read_deployment(node: object) -> Deployment:
    meta = get_path(node, "meta")
    return Deployment(
        id=field(node, "id", str),
        status=text(field(node, "status", str), 40) or "UNKNOWN",
        stopped=field(node, "deploymentStopped", bool),
        created_at=moment(get_path(node, "createdAt")),
        status_updated_at=moment(get_path(node, "statusUpdatedAt")),
        url=text(get_path(node, "url")),
        can_rollback=field(node, "canRollback", bool),
        commit=commit(get_path(meta, "commitHash")),
        branch=text(get_path(meta, "branch")) or None,
        repo=text(get_path(meta, "repo")) or None,
        reason=text(get_path(meta, "reason")) or None,
        instances=tuple(
            text(field(item, "status", str), 40) for item in field(node, "instances", list)
        ),
        creator=text(get_path(node, "creator", "name"), 200)
        or text(get_path(node, "creator", "email"), 200)
        or None,
    )


def _read_domains(node: object) -> tuple[Domain, ...]:
    items = field(node, "customDomains", list) + field(node, "serviceDomains", list)
    return tuple(
        Domain(text(field(item, "domain", str)), text(field(item, "syncStatus", str), 40))
        for item in items
    )


def read_instance(node: object, problem: Callable[[str], None]) -> ServiceInstance:
    """Return an instance with its deployments; tell `problem` what of it cannot be read."""
    bare = ServiceInstance(
        id=field(node, "id", str),
        service_id=field(node, "serviceId", str),
        service_name=text(field(node, "serviceName", str)),
        environment_id=field(node, "environmentId", str),
        readable=False,
    )
    try:
        latest = nullable(node, "latestDeployment", dict)
        source = nullable(node, "source", dict) or {"repo": None, "image": None}
        return replace(
            bare,
            readable=True,
            repo=text(nullable(source, "repo", str)) or None,
            image=text(nullable(source, "image", str)) or None,
            root_directory=text(optional(node, "rootDirectory", str)) or None,
            config_file=text(optional(node, "railwayConfigFile", str)) or None,
            healthcheck_path=text(optional(node, "healthcheckPath", str)) or None,
            start_command=text(get_path(node, "startCommand"), 4000) or None,
            pre_deploy_command=_command(get_path(node, "preDeployCommand")),
            watch_patterns=_patterns(optional(node, "watchPatterns", list)),
            cron=_schedule(optional(node, "cronSchedule", str)),
            domains=_read_domains(field(node, "domains", dict)),
            latest_deployment=read_deployment(latest) if latest is not None else None,
            active_deployments=tuple(map(read_deployment, field(node, "activeDeployments", list))),
        )
    except Malformed as error:
        problem(f"The deployments of service {bare.service_name} cannot be read ({error}).")
        return bare


def _schedule(value: str | None) -> str | None:
    """Return cron's five fields: what is scheduled may stand still, so nothing else passes."""
    message = text(value, 100)
    if message and len(message.split()) != 5:
        raise Malformed("cronSchedule is no schedule")
    return message or None


def _patterns(value: list[object] | None) -> tuple[str, ...]:
    """Return the patterns whole: one that is cut or left out would watch something else."""
    patterns = value or []
    if (
        not all(isinstance(pattern, str) and len(pattern) <= 1000 for pattern in patterns)
        or len(patterns) > 500
    ):
        raise Malformed("watchPatterns cannot be read")
    return tuple(str(pattern) for pattern in patterns)


def _command(value: object) -> str | None:
    """Return a command, which Railway answers as free JSON: a list or a text."""
    parts = value if isinstance(value, list) else [value]
    return " && ".join(filter(None, (text(part, 4000) for part in parts))) or None


def read_trigger(node: object) -> Trigger:
    return Trigger(
        id=field(node, "id", str),
        service_id=nullable(node, "serviceId", str),
        repository=text(field(node, "repository", str)),
        branch=text(field(node, "branch", str)),
    )


def read_service(node: object) -> Service:
    return Service(field(node, "id", str), text(field(node, "name", str)))


def read_environment(node: object, problem: Callable[[str], None]) -> Environment:
    """Return an environment with the first page of its instances; see `read_instance`."""
    triggers, good_triggers = _read_list(get_path(node, "deploymentTriggers"), read_trigger)
    instances, good_instances = _read_list(
        get_path(node, "serviceInstances"), lambda item: read_instance(item, problem)
    )
    name, can_access = text(field(node, "name", str)), field(node, "canAccess", bool)
    readable = can_access and good_triggers and good_instances
    if not can_access:
        problem(f"The token may not look into environment {name}: give it access in Railway.")
    elif not readable:
        problem(f"Environment {name} cannot be read in full.")
    number = get_path(node, "meta", "prNumber")
    return Environment(
        id=field(node, "id", str),
        name=name,
        can_access=can_access,
        is_ephemeral=field(node, "isEphemeral", bool),
        created_at=moment(get_path(node, "createdAt")),
        pr_number=number if isinstance(number, int) else None,
        config_etag=text(get_path(node, "configEtag"), 200),
        triggers=tuple(triggers),
        instances=tuple(instances),
        readable=readable and all(instance.readable for instance in instances),
    )


def _read_list[T](connection: object, read: Callable[[object], T]) -> tuple[list[T], bool]:
    """Return what can be read of a connection, and whether that was all of its page."""
    values: list[T] = []
    try:
        items = nodes(connection)
    except Malformed:
        return values, False
    for item in items:
        try:
            values.append(read(item))
        except Malformed:
            return values, False
    return values, True


def read_log_line(item: object) -> LogLine:
    return LogLine(
        moment(get_path(item, "timestamp")),
        text(get_path(item, "severity"), 20),
        text(field(item, "message", str), 4000),
    )
