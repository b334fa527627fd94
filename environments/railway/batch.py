"""Puts many questions into one request, because Railway counts requests.

Look here before asking in a loop. Documents are built from the number of questions alone; values
travel as variables.
"""

from collections.abc import Sequence

MOST = 60  # questions in one request
MOST_HISTORIES = 20  # each of them has up to 25 deployments in its answer
# A place: ids of an environment and of a service in it (None: what all its services share).
Place = tuple[str, str | None]


def variables_document(count: int) -> str:
    """Return the document that reads the variables of `count` places."""
    return _document(
        count,
        "VariablesOfPlaces($projectId: String!, $unrendered: Boolean!",
        ", $e#: String!, $s#: String",
        "variables(projectId: $projectId, environmentId: $e#, serviceId: $s#,"
        " unrendered: $unrendered)",
    )


def push_deploys_document(count: int) -> str:
    """Return the document that reads whether a push deploys each of `count` services."""
    return _document(
        count,
        "PushDeploysOfPlaces($projectId: String!",
        ", $e#: String!, $s#: String!",
        "serviceInstanceAutoDeployStatus(projectId: $projectId, environmentId: $e#,"
        " serviceId: $s#) { enabled canEnable reason }",
    )


def histories_document(count: int, fragment: str) -> str:
    """Return the document for `count` histories; `fragment`: DeploymentState."""
    node = "{ edges { node { ...DeploymentState creator { name email } } } }"
    selections = f"deployments(input: $i#, first: $first) {node}"
    declared = ", $i#: DeploymentListInput!"
    return (
        _document(count, "DeploymentHistoryOfPlaces($first: Int!", declared, selections) + fragment
    )


def _document(count: int, head: str, declared: str, selection: str) -> str:
    """Return a query that asks `count` times, as `p0`, `p1` and so on: `#` is the number."""
    variables = "".join(declared.replace("#", str(n)) for n in range(count))
    fields = "".join(f"  p{n}: {selection.replace('#', str(n))}\n" for n in range(count))
    return f"query {head}{variables}) {{\n{fields}}}\n"


def values(places: Sequence[Place]) -> dict[str, object]:
    """Return the variables that name `places`; a service that is None is left out."""
    sent: dict[str, object] = {}
    for n, (environment, service) in enumerate(places):
        sent |= {f"e{n}": environment, f"s{n}": service}
    return sent
