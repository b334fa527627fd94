"""Where a database's schema is not the one that its migrations make: changed by hand, as rehearsals find it."""

from collections.abc import Iterator

from environments.coherence import Problem
from environments.models import Direction, Environment, FindingKind, Project, Rehearsal
from environments.schema.dump import Difference

SHOWN = 20


def problems(project: Project) -> Iterator[Problem]:
    """One problem for each object, as the newest comparison of each environment saw it. One query."""
    compared = Rehearsal.objects.filter(
        environment__project=project,
        environment__gone_at=None,
        environment__kind__in=["staging", "production"],
        direction=Direction.UPGRADE,
        drift__isnull=False,
    )
    newest = compared.order_by("environment_id", "-pk").distinct("environment_id").select_related("environment")
    for row in newest.only("drift", "environment__name", "environment__kind"):
        found = [Difference(**one | {"lines": tuple(one["lines"])}) for one in row.drift or ()]
        for one in found[:SHOWN]:
            yield Problem(FindingKind.SCHEMA, f"{one.type} {one.name} in {row.environment.name}",
                          sentence(one, row.environment), attestable=True)  # fmt: skip
        if len(found) > SHOWN:
            said = f"{len(found) - SHOWN} more objects in {row.environment.name} differ; see its newest rehearsal."
            yield Problem(FindingKind.SCHEMA, f"more objects in {row.environment.name}", said, attestable=True)


def sentence(one: Difference, environment: Environment) -> str:
    """“production has an index ix_x that no migration made.”"""
    article = "an" if one.type[0] in "aeiou" else "a"
    if one.how == "added":
        return f"{environment.name} has {article} {one.type} {one.name} that no migration made."
    if one.how == "removed":
        return f"{environment.name} lacks the {one.type} {one.name} that its migrations make."
    told = "; ".join(one.lines[:4])
    return f"In {environment.name} the {one.type} {one.name} is not as its migrations make it ({told})."[:1000]
