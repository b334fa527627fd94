"""Where a database's schema is not the one that its migrations make: changed by hand, as
rehearsals find it.
"""

from collections.abc import Iterable, Iterator

from environments.finding_kinds.schema import SCHEMA
from environments.findings.problem import Problem
from environments.models import LONG_LIVED, Database, Direction, Project, Rehearsal
from environments.schema.rehearsal.dump import Difference

SHOWN = 20


def problems(project: Project, databases: Iterable[Database]) -> Iterator[Problem]:
    """Yield one problem for each object, as the newest comparison of each of the databases saw
    it. At most one query.
    """
    names = {one.pk: one.called for one in databases}
    compared = Rehearsal.objects.filter(
        environment__project=project,
        environment__gone_at=None,
        database__in=names,
        environment__kind__in=LONG_LIVED,
        direction=Direction.UPGRADE,
        drift__isnull=False,
    )
    newest = compared.order_by("environment_id", "database_id", "-pk").distinct(
        "environment_id", "database_id"
    )
    for row in newest.select_related("environment").only("drift", "database", "environment__name"):
        where = " ".join(filter(None, [row.environment.name, names[row.database_id]]))
        found = [Difference(**one | {"lines": tuple(one["lines"])}) for one in row.drift or ()]
        for one in found[:SHOWN]:
            yield Problem(
                SCHEMA, f"{one.type} {one.name} in {where}", sentence(one, where), attestable=True
            )
        if len(found) > SHOWN:
            message = (
                f"{len(found) - SHOWN} more objects in {where} differ; see its newest rehearsal."
            )
            yield Problem(SCHEMA, f"more objects in {where}", message, attestable=True)


def sentence(difference: Difference, where: str) -> str:
    """Return “production has an index ix_x that no migration creates.”"""
    article = "an" if difference.type[0] in "aeiou" else "a"
    if difference.how == "added":
        return (
            f"{where} has {article} {difference.type} {difference.name} that no migration creates."
        )
    if difference.how == "removed":
        return f"{where} lacks the {difference.type} {difference.name} that its migrations create."
    told = "; ".join(difference.lines[:4])
    message = f"In {where} the {difference.type} {difference.name} differs from its migrations"
    return f"{message} ({told})."[:1000]
