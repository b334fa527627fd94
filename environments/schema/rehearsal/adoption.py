"""Proves which revision a schema is, by the schemas of all on a scratch server, and stamps it.

For a database that has tables and no version table, and for one whose revision was squashed or
pruned away. The real database is only read until two people agreed on the stamp.
"""

import hashlib
import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial

import psycopg
from psycopg import sql

from environments.git.repository import Mirror
from environments.schema.history.graph import History
from environments.schema.history.reader import read
from environments.schema.rehearsal.dump import (
    Cancelled,
    Difference,
    DumpError,
    differences,
    drift,
    dump,
    load,
    objects,
)
from environments.schema.rehearsal.over_scratch import read_target, run_in, trip
from environments.schema.rehearsal.report import UPGRADE, Request, UnknownError
from environments.schema.rehearsal.scratch_server import Scratch, scratch_server
from environments.schema.run import database, lock
from environments.schema.run.address import normalise
from environments.schema.run.process import Child
from environments.schema.run.request import EarlyError, Outcome

MOST = 300  # of the newest revisions are tried
WIDTH = 32  # of Alembic's own version table
WIDE = 255
# What a schema has, cheap to ask: only where it is the same are the schemas dumped and compared.
_SHAPE = """
select n.nspname, c.relname, c.relkind::text, a.attname, format_type(a.atttypid, a.atttypmod)
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
left join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
and c.relkind in ('r', 'p', 'v', 'm', 'i', 'S') and c.relname <> %s and c.relname <> %s || '_pkc'
"""


@dataclass
class Proof:
    """What was found. A state is what the version table holds.

    `equal`: the states whose schema is the real one, newest first; `nearest`: else the one that
    differs least, and `differences` how. `schema`: the real one's digest; `before`: its state.
    """

    before: tuple[str, ...] = ()
    schema: str = ""
    equal: tuple[tuple[str, ...], ...] = ()
    nearest: tuple[str, ...] = ()
    differences: tuple[Difference, ...] = ()
    tried: int = 0
    sentence: str = ""
    proven: bool = False


@dataclass
class _Search:
    """The revisions one after the other, each held against the real schema."""

    mirror: Mirror
    request: Request
    scratch: Scratch
    alive: Callable[[], bool]
    on_tried: Callable[[int, int], None]
    real: str  # the real schema, once around
    shape: frozenset[tuple[str, ...]]
    least: int = 1 << 30
    nearest: str = ""
    proof: Proof = field(default_factory=Proof)

    @property
    def table(self) -> str:
        return database.split_table(self.request.version_table)[0]

    def through(self, states: list[tuple[str, ...]]) -> None:
        """Make the schema of each state in turn. Raise `UnknownError`, `DumpError`, `Cancelled`."""
        url = self.scratch.create("adoption")
        child = Child(self.scratch.work, early=True)
        try:
            for number, state in enumerate(states):
                following = Child(self.scratch.work, early=True)
                try:
                    with closing(child):
                        outcome = self._to(url, state, child)
                finally:
                    child = following
                if outcome.status == "cancelled":
                    raise Cancelled
                if outcome.status != "succeeded":
                    raise UnknownError(
                        f"The migrations alone could not make the schema of {_named(state)}, so"
                        f" nothing above it could be compared: {outcome.sentence}"
                    )
                self.proof.tried += 1
                self.on_tried(number + 1, len(states))
                self._compare(url, state)
        finally:
            child.close()
        if not self.proof.equal and self.nearest:
            self.proof.differences = differences(self.nearest, self.real, without=self.table)

    def _to(self, url: str, state: tuple[str, ...], child: Child) -> Outcome:
        return run_in(
            self.scratch, self.mirror, self.request, url, UPGRADE, state, child, self.alive
        )

    def _compare(self, url: str, state: tuple[str, ...]) -> None:
        apart = len(shape_of(url, self.table) ^ self.shape)
        if apart and (self.proof.equal or apart > self.least):
            return
        made = dump(url, self.scratch.work / "made.sql", self.alive)
        if not apart:
            around = partial(trip, self.scratch, alive=self.alive)
            if not drift(made, self.real, around, without=self.table):
                self.proof.equal = (state, *self.proof.equal)
                return
        self.least, self.nearest, self.proof.nearest = apart, made, state


def prove(
    mirror: Mirror,
    request: Request,
    *,
    on_tried: Callable[[int, int], None],
    alive: Callable[[], bool],
) -> Proof:
    """Find the revisions of `request.commit` whose schema the database at `request.url` has.

    `on_tried` gets how many of how many were made. Raise `GitError`, `DatabaseError`, busy
    `DumpError` and `Cancelled`; whatever else is in the way is the sentence.
    """
    proof = Proof()
    try:
        history = read(mirror, request.commit, request.alembic)
        if history.problems:
            raise UnknownError(history.problems[0].sentence)
        if not history.revisions:
            raise UnknownError("The commit has no revision that the database could be at.")
        with scratch_server(request.root) as scratch:
            target = read_target(scratch, request.url, request.version_table, alive)
            table = database.split_table(request.version_table)[0]
            if target.revisions and set(target.revisions) <= history.revisions.keys():
                raise UnknownError(
                    f"The database is at {', '.join(target.revisions)}, which this commit has:"
                    " nothing needs a stamp."
                )
            proof.before, proof.schema = target.revisions, digest(target.schema, table)
            url = scratch.create("adoption_real")
            load(target.schema, url, scratch.work / "load.sql", alive)
            real, shape = dump(url, scratch.work / "real.sql", alive), shape_of(url, table)
            search = _Search(mirror, request, scratch, alive, on_tried, real, shape, proof=proof)
            search.through(states(history)[-MOST:])
    except (UnknownError, DumpError) as error:
        if isinstance(error, DumpError) and error.busy:
            raise
        proof.sentence = str(error)
        return proof
    proof.proven, proof.sentence = bool(proof.equal), _said(proof)
    return proof


def states(history: History) -> list[tuple[str, ...]]:
    """Return what the version table can hold on the way up, oldest first, one for each revision."""
    order = [revision.id for revision in history.linear]
    return [history.tips(order[: number + 1]) for number in range(len(order))]


def shape_of(url: str, table: str) -> frozenset[tuple[str, ...]]:
    """Return the relations and columns of a database, without the version table."""
    with psycopg.connect(url) as opened:
        rows = opened.execute(_SHAPE, [table, table]).fetchall()
    return frozenset(tuple(str(value) for value in row) for row in rows)


def digest(schema: str, table: str) -> str:
    """Return the SHA-256 of a dumped schema, without its version table."""
    lines = sorted((*key, text) for key, text in objects(schema, without=table).items())
    return hashlib.sha256(json.dumps(lines).encode()).hexdigest()


def _said(proof: Proof) -> str:
    of = f"of {proof.tried} revision{'s' if proof.tried != 1 else ''}"
    if len(proof.equal) == 1:
        return f"The schema is exactly that of {_named(proof.equal[0])}, the only one {of}."
    if proof.equal:
        *others, last = map(_named, proof.equal)
        return (
            f"The schema is exactly that of {', '.join(others)} and {last}: between them no"
            " revision changes the schema."
            " Whether their changes of rows ran, a person has to know."
        )
    first = proof.differences[0].sentence if proof.differences else "its objects"
    more = f", and {len(proof.differences) - 1} more" if len(proof.differences) > 1 else ""
    return (
        f"No revision {of} has this schema. Nearest is {_named(proof.nearest)}: {first}{more}."
        " Bring the schema there by hand, or write a revision that does, and have it proven again."
    )


def _named(state: tuple[str, ...]) -> str:
    return " + ".join(state)


class StampError(Exception):
    """The stamp was not written; one sentence says why. `busy`: try again later."""

    def __init__(self, sentence: str, *, busy: bool = False) -> None:
        super().__init__(sentence)
        self.busy = busy


def stamp(
    url: str,
    version_table: str,
    *,
    before: tuple[str, ...],
    target: tuple[str, ...],
    proven: Callable[[], bool],
    alive: Callable[[], bool],
    wait_s: float = 5.0,
) -> None:
    """Write `target` into the version table, made if need be, in place of `before`, unless it is
    there.

    Under the lock of runs, where `proven` is asked whether the schema still is what was proven.
    Raise `StampError`, `DatabaseError`.
    """
    address = normalise(url)
    with database.connection(url) as opened:
        try:
            lock.hold(opened, address, alive, wait_s=wait_s)
        except EarlyError as error:
            raise StampError(str(error), busy=error.status == "busy") from None
        now = database.revisions_in(opened, version_table)
        if now == tuple(sorted(target)):
            return
        if now != tuple(sorted(before)):
            raise StampError(
                f"The version table holds {', '.join(now) or 'nothing'} now, and held"
                f" {', '.join(before) or 'nothing'} when it was proven: prove it again."
            )
        if refused := database.refusal(opened, address, version_table):
            raise StampError(refused)
        if not proven():
            raise StampError("The schema was changed since it was proven: prove it again.")
        _write(opened, version_table, target)


def _write(opened: psycopg.Connection, version_table: str, target: tuple[str, ...]) -> None:
    name = database.identifier(version_table)
    key = sql.Identifier(f"{database.split_table(version_table)[0]}_pkc")
    width = sql.Literal(WIDE if max(map(len, target)) > WIDTH else WIDTH)
    with opened.transaction():
        opened.execute(
            sql.SQL(
                "create table if not exists {} (version_num varchar({}) not null,"
                " constraint {} primary key (version_num))"
            ).format(name, width, key)
        )
        opened.execute(sql.SQL("lock table {} in exclusive mode").format(name))
        opened.execute(sql.SQL("delete from {}").format(name))
        opened.execute(
            sql.SQL("insert into {} select unnest(%s::text[])").format(name), [list(target)]
        )
