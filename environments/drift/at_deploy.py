"""Services that migrate a database by their own commands, although the portal should."""

from collections.abc import Iterable, Iterator

from environments.finding_kinds.migrating import AT_DEPLOY
from environments.findings.problem import Problem
from environments.models import AtStart, Database, Runner, ServiceInstance

_WHEN = {AtStart.PRE_DEPLOY: "before each deployment", AtStart.START: "at each start"}


def problems(databases: list[Database], instances: Iterable[ServiceInstance]) -> Iterator[Problem]:
    """Return the services of a release that run Alembic by themselves, unless the portal knows
    that Railway migrates their database.

    A command may only look (`alembic check`), and it is not kept, so a person may sign for it.
    """
    for instance in instances:
        name = instance.service.name
        # Of a service that no database names, nobody knows which of them it migrates.
        theirs = [one for one in databases if one.service == name] or databases
        when = _WHEN.get(instance.will_run_alembic)
        if when is None or (theirs and all(one.runner == Runner.VERIFY for one in theirs)):
            continue
        changes = "its database changes without the portal's plan, approval and lock."
        what = f"{instance} runs Alembic by its own command, {when}: {changes}"
        do = (
            "Remove Alembic from the command, or let the portal verify what Railway migrates: under"
            f" Project settings, set “Migrations are run by” to “{Runner.VERIFY.label}”."
        )
        yield Problem(AT_DEPLOY, str(instance), f"{what} {do}", attestable=True)
