"""The statements that a rehearsal recorded, each with the locks that it took."""

from environments.schema.plan.render import without_passwords
from environments.schema.rehearsal.report import MODES, Lock, Ran
from portal.outbound.parsing import JsonObject

_RANK = {mode: rank for rank, mode in enumerate(MODES)}


def statements(run: str, events: tuple[JsonObject, ...]) -> tuple[Ran, ...]:
    """Return what was recorded, each lock at its statement, until its transaction's end."""
    statements_seen: list[Ran] = []
    open_: list[tuple[JsonObject, dict[str, str], str]] = []
    held: dict[str, str] = {}
    revision = ""

    def close(at: float | None) -> None:
        for event, locks, of in open_:
            seconds = None if at is None else at - float(event["at"])
            taken = tuple(Lock(table, mode, seconds) for table, mode in sorted(locks.items()))
            text, rewritten = without_passwords(str(event["statement"])), tuple(event["rewritten"])
            inside = bool(event["in_transaction"])
            statements_seen.append(
                Ran(run, of, text, float(event["seconds"]), inside, taken, rewritten)
            )
        open_.clear()
        held.clear()

    for event in events:
        if "start" in event:
            revision = str(event["start"])
        elif "over" in event:
            close(float(event["over"]))
        elif "statement" in event and revision:  # before the first Alembic looks around itself
            locks = _stronger(event["locks"], held)
            held |= locks
            open_.append((event, locks, revision))
    close(None)
    return tuple(statements_seen)


def _stronger(locks: list[list[str]], held: dict[str, str]) -> dict[str, str]:
    """Return each table's strongest lock, where it is stronger than before and than reading."""
    now: dict[str, str] = {}
    for table, mode in locks:
        rank = _RANK.get(mode, 0)
        if rank > _RANK.get(held.get(table, "AccessShareLock"), 0) and rank > _RANK.get(
            now.get(table, ""), 0
        ):
            now[table] = mode
    return now
