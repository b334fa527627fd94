"""What the chain's tables must be in the database, so that reading them reads what is stored.

The catalogs are read whole and looked through here: no operator and no function of the database
decides. Who owns the tables can put row security, rules, children, triggers or another view on
them; a superuser can replace what is built in.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module

import psycopg

from portal.audit.expected_catalog import (
    AGGREGATES,
    CHAIN,
    COLUMNS,
    FUNCTIONS,
    HEAD,
    INDEXES,
    INTERNAL,
    NO_KEY,
    OPERATORS,
    PINS,
    SHOWN_TYPES,
    TRIGGERS,
    VIEW,
)
from portal.outbound.parsing import JsonObject

_CATALOGS = {
    "pg_namespace": "oid, nspname",
    "pg_class": (
        "oid, relname, relnamespace, relkind, relpersistence, relam, relrowsecurity,"
        " relforcerowsecurity, relispartition"
    ),
    "pg_attribute": "attrelid, attname, atttypid, attnum, attisdropped, attgenerated",
    "pg_inherits": "inhrelid, inhparent",
    "pg_policy": "polname, polrelid",
    "pg_rewrite": "oid, rulename, ev_class",
    "pg_trigger": "tgrelid, tgname, tgenabled, tgtype, tgfoid, tgqual",
    "pg_index": "indexrelid, indrelid, indisprimary, indisvalid, indkey",
    "pg_proc": "oid, proname, pronamespace, prolang, prosrc, prosecdef",
    "pg_aggregate": (
        "aggfnoid::pg_catalog.oid, aggtransfn::pg_catalog.oid, aggfinalfn::pg_catalog.oid"
    ),
    "pg_operator": "oprname, oprnamespace, oprleft, oprright, oprcode::pg_catalog.oid",
    "pg_cast": "castsource, casttarget",
}


_SET = "SELECT pg_catalog.set_config(%s, %s, true)"


@contextmanager
def pinned(connection: psycopg.Connection) -> Iterator[None]:
    """Have the session go by `PINS` within the block, which lies in a transaction."""
    before = {}
    for name, value in PINS.items():
        [(before[name],)] = connection.execute("SELECT pg_catalog.current_setting(%s)", [name])
        connection.execute(_SET, [name, value])
    yield
    for name, value in before.items():
        connection.execute(_SET, [name, value])


class Shape:
    """The catalogs of one database, and where the chain's relations are in them."""

    def __init__(self, connection: psycopg.Connection, schema: str) -> None:
        self.connection = connection
        self._rows: dict[str, list[tuple[object, ...]]] = {}
        for name, columns in _CATALOGS.items():
            self._rows[name] = connection.execute(
                f"SELECT {columns} FROM pg_catalog.{name}"  # noqa: S608
            ).fetchall()
        spaces = {
            namespace["nspname"]: namespace["oid"] for namespace in self.where("pg_namespace")
        }
        self.builtin, self.own = spaces["pg_catalog"], spaces.get(schema, 0)
        self.relations = {
            relation["relname"]: relation
            for relation in self.where("pg_class", relnamespace={self.own})
        }

    def where(self, catalog: str, **held: Collection[object]) -> list[JsonObject]:
        """Return the rows of a catalog whose columns hold one of these values each."""
        names = [column.split("::")[0] for column in _CATALOGS[catalog].split(", ")]
        wanted = [(names.index(name), values) for name, values in held.items()]
        rows = (
            row for row in self._rows[catalog] if all(row[at] in values for at, values in wanted)
        )
        return [dict(zip(names, row, strict=True)) for row in rows]

    def fault(self, looks: Iterable[Callable[["Shape"], Iterator[str]]]) -> str:
        """Return what the first of `looks` that finds something says; "" when all is as made."""
        return next((message for look in looks for message in look(self)), "")

    def of(self, catalog: str, key: str, relation: str) -> list[JsonObject]:
        """Return the rows of `catalog` that belong to a relation of ours."""
        return self.where(catalog, **{key: {self.relations[relation]["oid"]}})


def _tables(shape: Shape) -> Iterator[str]:
    for name in (CHAIN, HEAD):
        relation = shape.relations.get(name)
        if relation is None:
            yield f"The table {name} is not there."
            return
        if (relation["relkind"], relation["relpersistence"]) != ("r", "p") or relation[
            "relispartition"
        ]:
            yield f"{name} is no ordinary table that survives a crash: it was replaced."
        secured = relation["relrowsecurity"] or relation["relforcerowsecurity"]
        if secured or shape.of("pg_policy", "polrelid", name):
            why = "which can hide events from who asks: remove its policies."
            yield f"{name} has row security, {why}"
        if shape.of("pg_inherits", "inhparent", name) or shape.of("pg_inherits", "inhrelid", name):
            why = "whose rows would be read with its own: detach them."
            yield f"{name} has children or a parent, {why}"
        if shape.of("pg_rewrite", "ev_class", name):
            yield f"{name} has a rule, which can change what is asked of it: drop the rule."
        columns = [
            column for column in shape.of("pg_attribute", "attrelid", name) if column["attnum"] > 0
        ]
        kept = {
            (column["attname"], column["atttypid"])
            for column in columns
            if not column["attisdropped"]
        }
        generated = {column["attgenerated"] for column in columns} - {"", "\0", b"\0"}
        if kept != COLUMNS[name] or generated:
            yield f"{name} has other columns than it was made with."


def _keys(shape: Shape) -> Iterator[str]:
    columns = {
        column["attname"]: column["attnum"]
        for column in shape.of("pg_attribute", "attrelid", CHAIN)
    }
    wanted = [str(columns["position"])]
    indexes = shape.of("pg_index", "indrelid", CHAIN)
    if not any(
        index["indisprimary"] and index["indisvalid"] and str(index["indkey"]).split() == wanted
        for index in indexes
    ):
        yield NO_KEY
    names = {relation["oid"]: relation["relname"] for relation in shape.relations.values()}
    for table in (CHAIN, HEAD):
        extra = {
            names.get(index["indexrelid"], "?") for index in shape.of("pg_index", "indrelid", table)
        } - INDEXES[table]
        if extra:
            yield f"{table} has an index that it was not made with ({min(extra)}): drop it."


def _triggers(shape: Shape) -> Iterator[str]:
    names = {
        function["oid"]: function["proname"]
        for function in shape.where("pg_proc", pronamespace={shape.own})
    }
    for table in (CHAIN, HEAD):
        triggers = shape.of("pg_trigger", "tgrelid", table)
        if {
            (
                trigger["tgname"],
                trigger["tgenabled"],
                trigger["tgtype"],
                names.get(trigger["tgfoid"], ""),
            )
            for trigger in triggers
        } != TRIGGERS[table] or any(trigger["tgqual"] is not None for trigger in triggers):
            yield (
                f"The triggers of {table} are not those that it was made with: events may be"
                " changed or slip in."
            )


def _functions(shape: Shape) -> Iterator[str]:
    """Check that the portal's functions are the migration's to the letter, and have no double."""
    wanted = _made()
    functions = shape.where("pg_proc", proname=wanted, pronamespace={shape.own})
    if len(functions) != len(wanted):
        yield "The functions that write the chain are not those that it was made with."
    for function in functions:
        name = function["proname"]
        if function["prosrc"] != wanted[name]:
            yield f"The function {name} was replaced: what it writes cannot be trusted."


def _made() -> dict[str, str]:
    rules = import_module("portal.migrations.0002_audit_chain").RULES
    return dict(re.findall(r"CREATE FUNCTION (\w+)\(.*?AS \$\$(.*?)\$\$;", rules, re.DOTALL))


def _view(shape: Shape) -> Iterator[str]:
    changed = (
        f"The view {VIEW}, which pages read, was changed: pages may show others than the events."
    )
    relation = shape.relations.get(VIEW)
    rules = shape.of("pg_rewrite", "ev_class", VIEW) if relation else []
    if (
        relation is None
        or relation["relkind"] != "v"
        or [rule["rulename"] for rule in rules] != ["_RETURN"]
    ):
        yield changed
        return
    query = "SELECT ev_action FROM pg_catalog.pg_rewrite WHERE oid OPERATOR(pg_catalog.=) %s"
    action = shape.connection.execute(query, [rules[0]["oid"]]).fetchone()
    used = {int(number) for number in re.findall(r":(?:funcid|opfuncid) (\d+)", str(action))}
    if used - set(FUNCTIONS):
        yield changed
    if shape.where("pg_cast", castsource={25}, casttarget=SHOWN_TYPES):
        why = "through which pages may show others than the events: drop it."
        yield f"A cast from text was put in, {why}"


REPLACED = (
    "PostgreSQL's own function {} was replaced: nothing that this server answers can be trusted."
)


def _built_in(shape: Shape) -> Iterator[str]:
    functions = {
        function["oid"]: function
        for function in shape.where("pg_proc", oid={*FUNCTIONS, *AGGREGATES})
    }
    for oid, name in FUNCTIONS.items():
        row = functions.get(oid)
        # Its compiled function was called split_text before PostgreSQL 14.
        if row is None or row["prolang"] != INTERNAL or row["prosrc"] not in (name, "split_text"):
            yield REPLACED.format(name)
    rows = shape.where("pg_aggregate", aggfnoid=AGGREGATES)
    aggregates = {
        aggregate["aggfnoid"]: (aggregate["aggtransfn"], aggregate["aggfinalfn"])
        for aggregate in rows
    }
    for oid, wanted in AGGREGATES.items():
        if aggregates.get(oid) != wanted:
            yield REPLACED.format(functions[oid]["proname"] if oid in functions else oid)
    names = {key[0] for key in OPERATORS}
    rows = shape.where("pg_operator", oprnamespace={shape.builtin}, oprname=names)
    operators = {
        (operator["oprname"], operator["oprleft"], operator["oprright"]): operator["oprcode"]
        for operator in rows
    }
    for key, code in OPERATORS.items():
        if operators.get(key) != code:
            yield REPLACED.format(f"behind the operator {key[0]}")


READS = (_tables, _keys, _built_in)  # without these, what is read proves nothing
# Without these, what is written and shown next cannot be trusted.
WRITES = (_triggers, _functions, _view)
