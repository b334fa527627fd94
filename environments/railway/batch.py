"""Puts many questions into one request, because Railway counts requests.

Look here before asking in a loop. Documents are built from the number of questions alone; values
travel as variables.
"""

from collections.abc import Iterator, Sequence

MOST = 60  # questions in one request
MOST_HISTORIES = 20  # each of them has up to 25 deployments in its answer
# A place: ids of an environment and of a service in it (None: what all its services share).
Place = tuple[str, str | None]


def chunks(places: Sequence[Place], most: int = MOST) -> Iterator[Sequence[Place]]:
    """Yield `places` in portions that one request may ask for."""
    for start in range(0, len(places), most):
        yield places[start : start + most]


def variables_document(count: int) -> str:
    """Return the document that reads the variables of `count` places, as `p0`, `p1` and so on."""
    declared = "".join(f", $e{n}: String!, $s{n}: String" for n in range(count))
    asked = "\n".join(
        f"  p{n}: variables(projectId: $projectId, environmentId: $e{n}, serviceId: $s{n},"
        " unrendered: $unrendered)"
        for n in range(count)
    )
    return (
        f"query VariablesOfPlaces($projectId: String!, $unrendered: Boolean!{declared})"
        f" {{\n{asked}\n}}"
    )


def push_deploys_document(count: int) -> str:
    """Return the document that reads whether a push deploys each of `count` services."""
    declared = "".join(f", $e{n}: String!, $s{n}: String!" for n in range(count))
    asked = "\n".join(
        f"  p{n}: serviceInstanceAutoDeployStatus(projectId: $projectId, environmentId: $e{n},"
        f" serviceId: $s{n}) {{ enabled canEnable reason }}"
        for n in range(count)
    )
    return f"query PushDeploysOfPlaces($projectId: String!{declared}) {{\n{asked}\n}}"


def histories_document(count: int, fragment: str) -> str:
    """Return the document that reads the newest deployments of `count` services; `fragment`:
    DeploymentState.
    """
    declared = "".join(f", $i{n}: DeploymentListInput!" for n in range(count))
    node = "{ edges { node { ...DeploymentState creator { name email } } } }"
    asked = "\n".join(
        f"  p{n}: deployments(input: $i{n}, first: $first) {node}" for n in range(count)
    )
    return f"query DeploymentHistoryOfPlaces($first: Int!{declared}) {{\n{asked}\n}}\n{fragment}"


def values(places: Sequence[Place]) -> dict[str, object]:
    """Return the variables that name `places` in either document; a service that is None is left
    out.
    """
    sent: dict[str, object] = {}
    for n, (environment, service) in enumerate(places):
        sent |= {f"e{n}": environment, f"s{n}": service}
    return sent
