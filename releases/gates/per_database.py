"""One answer for all databases of a release: the worst counts."""

from collections.abc import Callable
from typing import Any

from releases.gates.context import Facts
from releases.gates.databases import DatabaseFacts
from releases.gates.result import ATTEST, FAIL, PASS, PENDING, Result

WORST_FIRST = (FAIL, PENDING, ATTEST, PASS)


def judge_each(facts: Any, judge: Callable[[Any, DatabaseFacts], Result]) -> Result:
    """Judge every database: the worst counts, and says which database where there are several."""
    judged = [(database.called, judge(facts, database)) for database in facts.databases]
    if len(judged) == 1:
        return judged[0][1]
    state = min((result.state for _, result in judged), key=WORST_FIRST.index)
    message = " ".join(
        f"{name}: {result.sentence}" for name, result in judged if result.state == state
    )
    evidence = tuple(
        (f"{name}: {label}", text) for name, result in judged for label, text in result.evidence
    )
    seen = min((result.seen_at for _, result in judged if result.seen_at), default=None)
    return Result(state, message, evidence, seen)


def unread_answer(facts: Facts) -> Result | None:
    """Return the answer while the release was read for other databases than the project has now."""
    if facts.release.collected != facts.release.candidate and not facts.release.merge_commit:
        return Result(PENDING, "Reading the release's commits and migrations…")
    known = {database.database.pk for database in facts.databases}
    first = next(iter(known), None)
    read = {file.get("database", first) for file in facts.release.migrations}
    if read <= known and all(database.heads is not None for database in facts.databases):
        return None
    return Result(PENDING, "The project's databases have changed. The release is loading again.")
