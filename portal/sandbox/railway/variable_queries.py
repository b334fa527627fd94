"""Resolvers of what is read about variables."""

from .access import Caller
from .resolving import field, query
from .variables import own_variables, references, running_variables, shown_variables
from .world import Row


@query
def variables(
    caller: Caller,
    environmentId: str,
    projectId: str,
    serviceId: str | None = None,
    unrendered: bool | None = False,
) -> Row:
    caller.environment(environmentId)
    if serviceId is not None:
        caller.world.get("services", serviceId)
    return shown_variables(caller.world, environmentId, serviceId, unrendered=bool(unrendered))


@query
def variablesForServiceDeployment(
    caller: Caller, environmentId: str, projectId: str, serviceId: str
) -> Row:
    """Return the variables fully rendered; the values of sealed ones never come back, here
    neither.
    """
    caller.instance({"environmentId": environmentId, "serviceId": serviceId})
    sealed = {
        row["name"]
        for row in own_variables(caller.world, environmentId, serviceId)
        if row["isSealed"]
    }
    shown = running_variables(caller.world, environmentId, serviceId) | shown_variables(
        caller.world, environmentId, serviceId
    )
    return {name: None if name in sealed else value for name, value in shown.items()}


@field("Variable", "references")
def variable_references(source: Row, caller: Caller) -> list[str]:
    return references(source["value"])
