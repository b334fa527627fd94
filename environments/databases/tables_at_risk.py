"""Which tables' rows a migration may change, by its plan's risks and the foreign keys there."""

from dataclasses import dataclass, replace
from typing import cast

from environments.databases.pending import planned_steps
from environments.models import Direction, MigrationRun
from environments.schema.plan.render import Step
from environments.schema.plan.risk import RiskError, assess
from environments.schema.run import database

_LOSING = {"data-change", "data-loss", "truncate", "drop-table", "drop-column", "column-type"}
_UNKNOWN = {"cascade", "unrendered", "opaque", "calls", "unknown", "session"}
# Risks before which a backup is taken.
NEEDS_BACKUP = _LOSING | _UNKNOWN


@dataclass(frozen=True)
class Touched:
    """`tables` by their names before the run; `deleting`: those of which single rows go, so that
    keys may take rows of others with them. `everything`: what is touched is not known.
    """

    tables: tuple[str, ...] = ()
    deleting: tuple[str, ...] = ()
    everything: bool = False

    def __bool__(self) -> bool:
        return bool(self.tables) or self.everything


@dataclass(frozen=True)
class Table:
    """A table whose rows are kept. `name` as the server writes it, `plain` without its schema."""

    name: str
    plain: str
    bytes: int
    triggers: bool


@dataclass(frozen=True)
class Measured:
    """What of `Touched` the database has; `others`: the tables whose rows are left out."""

    tables: tuple[Table, ...]
    others: tuple[str, ...]
    bytes: int
    everything: bool


def touched_by(job: MigrationRun) -> Touched:
    """Return what the run may lose or change, as far as its plans know."""
    known = planned_steps(job)
    if any(planned["id"] not in known for planned in job.planned):
        return Touched(everything=True)
    losses: list[tuple[str, str]] = []
    for step, risks in (known[planned["id"]] for planned in job.planned):
        backwards = job.direction == Direction.DOWNGRADE
        losses += _of_downgrade(step) if backwards else [(r["code"], r["table"]) for r in risks]
    if any(code in _UNKNOWN or (code in _LOSING and not table) for code, table in losses):
        return Touched(everything=True)
    lost = dict.fromkeys(table for code, table in losses if code in _LOSING)
    deleting = dict.fromkeys(table for code, table in losses if code == "data-loss")
    return Touched(tuple(lost), tuple(deleting))


def _of_downgrade(step: Step) -> list[tuple[str, str]]:
    """Return the risks of the way back: code and table."""
    try:
        risks = assess([replace(step, upgrade=step.downgrade)])
    except RiskError:
        return [("unknown", "")]
    return [(risk.code, risk.table) for risk in risks]


# A name without a schema that the portal's session does not find may stand in any schema of the
# search path that the run sets. Deleting rows deletes or changes those that hang on them by a key.
_MEASURE = """
with recursive asked as (
  select name, parse_ident(name) path, to_regclass(name)::oid oid
  from unnest(%(tables)s::text[]) name
), named as (
  select c.oid, c.relkind, asked.name = any(%(deleting)s::text[]) deleting
  from asked join pg_class c on c.oid = asked.oid
    or (asked.oid is null and cardinality(path) = 1 and c.relname = path[1])
  where c.relnamespace::regnamespace::text !~ '^(pg_|information_schema$)'
), reached(oid, deleting) as (
  select oid, deleting from named where relkind in ('r', 'p')
  union select k.conrelid, k.confdeltype = 'c' from reached r join pg_constraint k
    on k.contype = 'f' and k.confrelid = r.oid and k.confdeltype in ('c', 'n', 'd')
  where r.deleting
), kept(oid) as (
  select oid from reached
  union select i.inhrelid from kept k join pg_inherits i on i.inhparent = k.oid
)
select format('%%I.%%I', n.nspname, c.relname), c.oid::regclass::text, c.relname::text,
  pg_total_relation_size(c.oid)::bigint,
  c.oid in (select oid from kept),
  exists (select from pg_trigger t where t.tgrelid = c.oid and not t.tgisinternal
    and t.tgenabled <> 'D'),
  c.oid in (select inhrelid from pg_inherits),
  exists (select from named where relkind = 'v')
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'm') and n.nspname !~ '^(pg_|information_schema$)' order by c.oid
"""


def measure(url: str, touched: Touched) -> Measured:
    """Ask the database for what must be backed up. Raise `DatabaseError`."""
    names = {"tables": list(touched.tables), "deleting": list(touched.deleting)}
    with database.connection(url) as opened:
        row = opened.execute("select pg_database_size(current_database())").fetchone()
        everything = Measured((), (), cast(int, row[0]) if row else 0, True)
        if touched.everything:
            return everything
        rows = opened.execute(_MEASURE, names).fetchall()
    if any(through_view for *_, through_view in rows):
        return everything
    kept = [row for row in rows if row[4]]
    return Measured(
        tuple(
            Table(name, plain, size, triggers)
            for _, name, plain, size, _, triggers, is_part, _ in kept
            if not is_part
        ),
        tuple(full for full, *_, is_kept, _, _, _ in rows if not is_kept),
        sum(size for _, _, _, size, *_ in kept),
        False,
    )
