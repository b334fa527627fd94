"""The gate that asks whether production's database is at the release's heads."""

from environments.models import EnvironmentKind
from releases.gates.context import Facts
from releases.gates.databases import DatabaseFacts
from releases.gates.per_database import judge_each
from releases.gates.registry import gate
from releases.gates.rehearsed import why_unread
from releases.gates.result import FAIL, PASS, PENDING, Result

NONE = "The project has no Alembic migrations."


@gate("Production at head")
def production_at_head(facts: Facts) -> Result:
    """Require that production's database reports exactly the release's heads."""
    if not facts.databases:
        return Result(PASS, NONE)
    if not facts.release.merge_commit:
        return Result(PENDING, "The release is not merged yet.")
    return judge_each(facts, _at_head)


def _at_head(facts: Facts, one: DatabaseFacts) -> Result:
    production = one.places.get(EnvironmentKind.PRODUCTION)
    if production is None or production.revisions is None or production.revisions_at is None:
        return Result(PENDING, why_unread(production))
    if one.heads is None:
        return Result(
            PENDING,
            "This database was added after the release was created.",
            (),
            production.revisions_at,
        )
    if production.revisions_at < max(facts.release.candidate_at, facts.fresh_since):
        return Result(
            PENDING,
            "Reading production's database: the last reading is too old.",
            (),
            production.revisions_at,
        )
    now_at = ", ".join(production.revisions) or "nothing"
    if sorted(production.revisions) != sorted(one.heads):
        wanted = ", ".join(one.heads)
        return Result(
            FAIL,
            f"Production's database is at {now_at}, not at {wanted}.",
            (),
            production.revisions_at,
        )
    return Result(PASS, f"Production's database is at {now_at}.", (), production.revisions_at)
