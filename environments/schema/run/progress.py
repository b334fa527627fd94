"""How far a statement is that runs now: by PostgreSQL's own counters, else rows and sizes.

Looked at over the connection that holds the lock; nothing of it is ever in the way of the run.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import psycopg

from environments.schema.run.command import APPLICATION_NAME
from environments.schema.run.output import Output

EVERY_S = 2.0
SQL_SHOWN = 1000
_SESSION = """
select pid, query, extract(epoch from clock_timestamp() - query_start)::float8,
  case when wait_event_type = 'Lock' then pg_blocking_pids(pid) end
from pg_stat_activity
where datname = current_database() and application_name = %s and state = 'active'
order by query_start desc limit 1
"""
_BLOCKER = """
select coalesce(nullif(application_name, ''), 'a session'), state,
  extract(epoch from clock_timestamp() - coalesce(xact_start, query_start))::float8
from pg_stat_activity where pid = %s
"""
# Each of PostgreSQL's progress views in one form: phase, done, of, unit.
_COUNTED = """
select phase,
  case when tuples_total > 0 then tuples_done else blocks_done end,
  case when tuples_total > 0 then tuples_total else blocks_total end,
  case when tuples_total > 0 then 'rows' else 'blocks' end
from pg_stat_progress_create_index where pid = %(pid)s
union all
select phase, heap_blks_scanned, heap_blks_total, 'blocks'
from pg_stat_progress_cluster where pid = %(pid)s
union all
select phase, heap_blks_scanned, heap_blks_total, 'blocks'
from pg_stat_progress_vacuum where pid = %(pid)s
"""
_COUNTED_14 = """
union all
select 'analyzing', sample_blks_scanned, sample_blks_total, 'blocks'
from pg_stat_progress_analyze where pid = %(pid)s
union all
select 'copying', tuples_processed, 0, 'rows'
from pg_stat_progress_copy where pid = %(pid)s
"""
_TABLE = """
select c.oid::regclass::text, greatest(c.reltuples, 0)::bigint, pg_relation_size(c.oid),
  coalesce(s.n_tup_ins + s.n_tup_upd + s.n_tup_del, 0)
from pg_class c left join pg_stat_all_tables s on s.relid = c.oid
where c.oid = to_regclass(%s) and c.relkind in ('r', 'p', 'm')
"""
_NAME = r'((?:"[^"]+"|[\w$]+)(?:\.(?:"[^"]+"|[\w$]+))?)'
_ABOUT = re.compile(
    rf"\s*(?:/\*.*?\*/\s*)?(?:update\s+(?:only\s+)?|delete\s+from\s+(?:only\s+)?|insert\s+into\s+"
    rf"|alter\s+table\s+(?:if\s+exists\s+)?(?:only\s+)?|refresh\s+materialized\s+view\s+"
    rf"(?:concurrently\s+)?|create\s+(?:unique\s+)?index\b.*?\bon\s+(?:only\s+)?){_NAME}",
    re.I | re.S,
)


@dataclass(frozen=True)
class Progress:
    """What runs now. `seconds` since the statement began; `waits`: for whose lock, "" for none.

    `phase`, `done`, `of` (0: not known) and `unit` are PostgreSQL's own counters. `rows`: about how
    many `table` has; since the run began to work on it, `changed` counts those that committed
    batches of anybody changed, and `grew` the bytes.
    """

    revision: str
    sql: str
    seconds: float
    waits: str = ""
    phase: str = ""
    done: int = 0
    of: int = 0
    unit: str = ""
    table: str = ""
    rows: int = 0
    changed: int = 0
    grew: int = 0


class Watch:
    """Looks at the run's session at most every `EVERY_S`, and tells what it sees."""

    def __init__(
        self,
        opened: psycopg.Connection,
        tell: Callable[[Progress], None],
        output: Output,
        *,
        redact: Callable[[str], str],
    ) -> None:
        self._opened, self._tell = opened, tell
        self._output, self._redact = output, redact
        self.revision = ""  # that runs, where somebody told; else what the output says
        self._next, self._blind = 0.0, False
        self._first: dict[str, tuple[int, int]] = {}  # table → size and changes when first seen

    def look(self) -> None:
        """Look once, when it is time. Raise only what says that the connection is lost."""
        if self._blind or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + EVERY_S
        try:
            progress = self._seen()
        except (psycopg.OperationalError, psycopg.InterfaceError):
            raise
        except psycopg.Error:  # a role that may not look, or a server that has other views
            self._blind = True
            return
        if progress is not None:
            self._tell(progress)

    def _seen(self) -> Progress | None:
        row = self._opened.execute(_SESSION, [APPLICATION_NAME]).fetchone()
        if row is None:
            return None
        pid, sql, seconds, blockers = row
        progress = Progress(
            self.revision or self._output.revision,
            self._redact(" ".join(str(sql).split()))[:SQL_SHOWN],
            round(float(seconds), 1),
            self._waits(blockers or []),
        )
        counted = self._counted(pid)
        if counted is not None:
            phase, done, of, unit = counted
            progress = replace(progress, phase=phase, done=done, of=of, unit=unit)
        return self._with_table(progress, str(sql))

    def _counted(self, pid: int) -> tuple[str, int, int, str] | None:
        newer = self._opened.info.server_version >= 140000
        query = _COUNTED + (_COUNTED_14 if newer else "")
        row = self._opened.execute(query, {"pid": pid}).fetchone()
        return None if row is None else (str(row[0]), int(row[1]), int(row[2]), str(row[3]))

    def _waits(self, blockers: list[int]) -> str:
        if not blockers:
            return ""
        row = self._opened.execute(_BLOCKER, [blockers[0]]).fetchone()
        if row is None:
            return f"a lock that session {blockers[0]} holds"
        name, state, since = row
        held = f", {state} for {since:.0f} s" if since is not None else ""
        return f"a lock that session {blockers[0]} holds ({self._redact(name)}{held})"

    def _with_table(self, progress: Progress, sql: str) -> Progress:
        about = _ABOUT.match(sql)
        row = self._opened.execute(_TABLE, [about[1]]).fetchone() if about else None
        if row is None:
            return progress
        table, rows, size, changes = row
        was, before = self._first.setdefault(table, (size, changes))
        return replace(
            progress,
            table=table,
            rows=rows,
            changed=max(0, changes - before),
            grew=max(0, size - was),
        )
