"""Compares production's planned SQL and files with what staging ran.

A difference is explained.

Pure. The SQL that is compared is what was planned: that of staging is kept when staging has run it.
"""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from environments.schema.plan.render import Rendered, Step
from environments.schema.run.alembic_env.statements import is_read, key_of, split
from portal.words import number_of

SAME, OTHER, UNKNOWN = "pass", "attest", "wait"
_SAME_SQL = "The same file and the same SQL as staging ran."
# Staging had the revision before the portal's first run there, or something ran it whose statements
# nobody reads.
_NOT_RECORDED = (
    "The same file and the same plan as in staging. Staging's statements were not recorded; the "
    "portal's runner lets production run only the planned SQL."
)
LINES = 6


@dataclass(frozen=True)
class Staged:
    """A revision file that staging ran: when, at which commit, in which run, and the SQL that
    was planned then.
    """

    at: datetime
    commit: str = ""
    run: int = 0
    rendered: Rendered | None = None
    renderer: str = ""
    executed: tuple[tuple[str, str], ...] = ()  # key and text of what its run told that it sent


def unplanned(step: Step, staged: Staged | None) -> tuple[str, ...]:
    """Return the statements that staging's run sent and the plan does not show; none where one of
    both is unknown.

    Reading the database does not count. A revision that needs a database to be rendered has no
    whole plan.
    """
    if staged is None or not staged.executed or step.upgrade.kind:
        return ()
    planned = {key_of(statement.sql) for statement in step.upgrade.statements}
    sent = (
        statement
        for key, text in staged.executed
        if key not in planned
        for statement in split(text)
    )
    return tuple(
        statement
        for statement in sent
        if key_of(statement) not in planned and not is_read(statement)
    )


@dataclass(frozen=True)
class Compared:
    """One revision in both.

    `state`: pass (the same SQL), attest (another), wait (cannot be told); `lines`: - and +.
    """

    revision: str
    state: str
    sentence: str
    lines: tuple[str, ...] = ()


def compare(
    steps: Sequence[Step], staged: Mapping[tuple[str, str], Staged], renderer: str
) -> tuple[Compared, ...]:
    """Return each of production's `steps` beside what staging ran (by revision and hash).

    `renderer`: what made their SQL.
    """
    return tuple(Compared(step.revision, *_compared(step, staged, renderer)) for step in steps)


def _compared(
    step: Step, staged: Mapping[tuple[str, str], Staged], renderer: str
) -> tuple[str, str, tuple[str, ...]]:
    ran = staged.get((step.revision, step.sha256))
    if ran is None:
        if any(revision == step.revision for revision, _ in staged):
            edited = "Its file was edited after staging ran it, so production refuses it."
            return OTHER, edited, ()
        return UNKNOWN, "Staging has not run it yet, so production refuses it.", ()
    if ran.rendered is None:
        return UNKNOWN, "The file is the same; its SQL in staging was not recorded.", ()
    if ran.rendered != step.upgrade:
        difference = _difference(ran.rendered.text, step.upgrade.text)
        return OTHER, _why(ran.rendered, ran.renderer, step, renderer), difference
    if step.upgrade.kind:
        same = "The file is the same, and as far as it can be rendered its SQL as well."
        return UNKNOWN, f"{same} {step.upgrade.problem}", ()
    return SAME, _SAME_SQL if ran.executed else _NOT_RECORDED, ()


def _why(was: Rendered, before: str, step: Step, renderer: str) -> str:
    """Return why one file was rendered as two scripts; `before`: the renderer of the first."""
    if bool(was.kind) != bool(step.upgrade.kind):
        now = "not any more" if step.upgrade.kind else "now"
        problem = step.upgrade.problem or was.problem
        return f"The file is the same, but it can be rendered to its end {now}: {problem}"
    if before and renderer and before != renderer:
        return (
            f"The file is the same; {before} wrote its SQL when staging ran it, {renderer} writes"
            " it now."
        )
    return (
        "The file is the same, but its SQL changes with each run: it depends on the clock, on "
        "random values or on imported code. Production would run SQL that staging never ran. "
        "Write the values out."
    )


def _difference(was: str, now: str) -> tuple[str, ...]:
    lines = [
        line[:200]
        for line in difflib.unified_diff(was.splitlines(), now.splitlines(), n=0, lineterm="")
        if line[:3] not in ("---", "+++") and line[:2] != "@@"
    ]
    more = [f"and {len(lines) - LINES} more lines"] if len(lines) > LINES else []
    return (*lines[:LINES], *more)


def summary(compared: Sequence[Compared]) -> tuple[str, str]:
    """Return state and sentence over all of production's revisions."""
    if not compared:
        return SAME, ""
    count = number_of(len(compared), "revision")
    for state, singular, several in (
        (OTHER, "differs from what staging ran", "differ from what staging ran"),
        (UNKNOWN, *["cannot be compared with staging"] * 2),
    ):
        if revisions := [each.revision for each in compared if each.state == state]:
            verb = several if len(revisions) > 1 else singular
            return state, f"Of production's {count}, {', '.join(revisions[:4])} {verb}."
    return SAME, f"Production will run the same SQL as staging: {count}."


def route(kind: str, start: Mapping[str, object], heads: Sequence[str]) -> tuple[str, str]:
    """Return state and sentence on what is to run in an environment: from, to, and how much."""
    if start.get("problem"):
        return UNKNOWN, f"{kind}: {start['problem']}"
    at, revisions = start.get("start") or [], start.get("revisions") or []
    where = ", ".join(map(str, at)) if isinstance(at, list) and at else "an empty database"
    if not isinstance(revisions, list) or not revisions:
        return SAME, f"{kind} is at {where}: nothing is left to run."
    way = f"{where} → {', '.join(heads) or 'nothing'}"
    listed = ", ".join(map(str, revisions[:12]))
    more = f" and {len(revisions) - 12} more" if len(revisions) > 12 else ""
    return UNKNOWN, f"{kind}: {way}, {number_of(len(revisions), 'revision')}: {listed}{more}."
