"""Where a database's schema is not the one that its migrations make, as rehearsals find it."""

from collections.abc import Iterable, Iterator

from django.db.models import QuerySet

from environments.finding_kinds.schema import SCHEMA
from environments.findings.problem import Problem
from environments.models import (
    Database,
    Direction,
    Environment,
    Project,
    Rehearsal,
    newest_of_place,
)
from environments.schema.rehearsal.dump import Difference

SHOWN = 20


def problems(project: Project, databases: Iterable[Database]) -> Iterator[Problem]:
    """Yield one problem for each object, as the newest comparison of each of the databases saw
    it. At most one query.
    """
    names = {database.pk: database.called for database in databases}
    environments = Environment.objects.present().long_lived().filter(project=project)
    compared = comparisons(project).filter(environment__in=environments, database__in=names)
    rows = compared.select_related("environment").only("drift", "database", "environment__name")
    for row in rows:
        where = " ".join(filter(None, [row.environment.name, names[row.database_id]]))
        changed = differences(row)
        for difference in changed[:SHOWN]:
            subject = f"{difference.type} {difference.name} in {where}"
            yield Problem(SCHEMA, subject, sentence(difference, where), attestable=True)
        if len(changed) > SHOWN:
            message = (
                f"{len(changed) - SHOWN} more objects in {where} differ; see its newest rehearsal."
            )
            yield Problem(SCHEMA, f"more objects in {where}", message, attestable=True)


def comparisons(project: Project) -> QuerySet[Rehearsal]:
    """Return the newest comparison of each database's schema with its migrations."""
    done = Rehearsal.objects.filter(direction=Direction.UPGRADE, drift__isnull=False)
    return newest_of_place(done.filter(environment__project=project))


def differences(compared: Rehearsal) -> list[Difference]:
    """Return the objects in which a comparison saw a database differ from its migrations."""
    return [
        Difference(**values | {"lines": tuple(values["lines"])}) for values in compared.drift or ()
    ]


def sentence(difference: Difference, where: str) -> str:
    """Return “production has an index ix_x that no migration creates.”"""
    article = "an" if difference.type[0] in "aeiou" else "a"
    if difference.how == "added":
        return (
            f"{where} has {article} {difference.type} {difference.name} that no migration creates."
        )
    if difference.how == "removed":
        return f"{where} lacks the {difference.type} {difference.name} that its migrations create."
    changes = "; ".join(difference.lines[:4])
    message = f"In {where} the {difference.type} {difference.name} differs from its migrations"
    return f"{message} ({changes})."[:1000]
