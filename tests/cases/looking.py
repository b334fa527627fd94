"""What the portal makes of a case: one line for each thing that is looked at."""

from environments.git import Mirror
from environments.schema.revisions import compare, read, why_empty
from tests.cases.builder import Case


def look_read(case: Case, mirror: Mirror) -> str:
    """Return the heads of `main` and what is new, edited and gone since c0; or the first problem's sentence."""
    history = read(mirror, "main", case.alembic)
    change = compare(mirror, "c0", "main", case.alembic)
    if problems := history.problems or change.problems:
        return problems[0].sentence
    if not history.revisions:
        return why_empty(mirror, "main", history)
    parts = [f"heads {' '.join(history.heads)}"]
    for word, found in (("new", change.new), ("changed", change.changed), ("deleted", change.deleted)):
        if found:
            parts.append(f"{word} {' '.join(one.id for one in found)}")
    return "; ".join(parts)
