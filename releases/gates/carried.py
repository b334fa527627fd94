"""Rolled-back releases that a release would ship again.

`Release.carried` is written by the reconciler, from git: `serves` (the commits that production
serves), `candidate`, `base`, `count` and `commits` (all that lie between, newest first), `releases`
(rolled back and among them: pk, name, reverted).
"""

from typing import TypedDict

from portal.words import and_
from releases.gates.context import Facts
from releases.gates.registry import gate
from releases.gates.result import FAIL, PASS, PENDING, Result


def serves(facts: Facts) -> list[str]:
    """Return the commits that production's services serve."""
    return sorted({live.serving for live in facts.in_production if live.at_commits} - {""})


class RolledBack(TypedDict):
    """A rolled-back release among the commits."""

    pk: int
    name: str
    reverted: bool


class Carried(TypedDict, total=False):
    """`Release.carried`."""

    candidate: str
    base: str
    serves: list[str]
    count: int
    commits: list[dict[str, str]]
    releases: list[RolledBack]


def again(carried: Carried) -> list[str]:
    """Return the names of rolled-back releases that would ship again."""
    return [release["name"] for release in carried.get("releases", ()) if not release["reverted"]]


@gate("Ships nothing that was rolled back", always=True, listed=False)
def carries(facts: Facts) -> Result:
    """Require that a rolled-back release goes to production again only if a person has said so."""
    release, carried = facts.release, facts.release.carried
    if not facts.was_rolled_back:
        return Result(PASS, "Nothing was rolled back.")
    about = (release.candidate, release.base, serves(facts))
    if (carried.get("candidate"), carried.get("base"), carried.get("serves")) != about:
        return Result(PENDING, "Reading what it carries beside its own commits…")
    names = again(carried)
    if not names:
        return Result(PASS, "It brings back nothing that was rolled back.")
    word = release.get_kind_display()
    confirmed = release.carry_confirmed
    if confirmed.get("candidate") == release.candidate and set(names) <= set(confirmed["names"]):
        return Result(PASS, f"{confirmed['by']} confirmed that it ships {and_(names)} again.")
    first = f"revert it on {facts.project.production_branch} first, or confirm that below"
    return Result(
        FAIL,
        f"This {word} ships {and_(names)} again, rolled back before: {first}.",
        tuple((commit["sha"][:7], commit["title"]) for commit in carried["commits"][:20]),
    )
