"""What can go wrong with a plan, by PostgreSQL's own grammar, with squawk's second opinion.

Nothing is said of what the plan itself makes, which nobody uses yet. What nobody has described is
`unknown`: a person is asked, and the way back is not called safe.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from environments.schema.plan.render import Rendered, Statement, Step
from environments.schema.plan.rules import RULES
from environments.schema.plan.squawk import SQUAWK, RiskError, ask, read_statement
from environments.schema.plan.table_rules import CAUTION, DANGER, INFO, RANK
from environments.schema.plan.table_stats import Target, named
from environments.schema.sql.kinds import CONCURRENT, OUTSIDE, ROWS, changes_schema, codes_of
from environments.schema.sql.made import Names
from environments.schema.sql.parser import enum, joined, kind, unwrap
from environments.schema.sql.part import Part
from environments.schema.sql.parts import parts

MIGRATE_FIRST = "migrate_first"


@dataclass(frozen=True)
class Risk:
    """Something to know before `revision` runs; `sql` is the statement, "" for the file."""

    code: str
    severity: str
    revision: str
    sha256: str
    sentence: str
    rewrite: str = ""
    sql: str = ""
    table: str = ""
    breaks_old: bool = False
    loses_data: bool = False

    @property
    def asks(self) -> bool:
        """Whether a person has to accept it."""
        return RANK[self.severity] > RANK[INFO]


def assess(
    steps: Sequence[Step], *, order: str = "deploy_first", target: Target | None = None
) -> tuple[Risk, ...]:
    """Return the risks of `steps`, in their order, the worst of each first.

    `order`: a `DeployOrder`. Raise `RiskError`.
    """
    target = target or Target()
    linted = ask(steps, target.server)
    names = Names()
    columns: set[tuple[str, str]] = set()
    risks: list[Risk] = []
    for number, step in enumerate(steps):
        judge = _Judge(step, order, target, names, columns)
        own_risks = list(_of_statements(judge, linted.get(number, {})))
        own_risks += _of_file(judge, any(risk.breaks_old for risk in own_risks))
        risks += sorted(dict.fromkeys(own_risks), key=lambda risk: -RANK[risk.severity])
    return tuple(risks)


def tables_in(steps: Sequence[Step]) -> frozenset[str]:
    """Return the tables that the upgrades touch and do not make, by their names before the plan."""
    touched, names = set[str](), Names()
    for statement in (statement for step in steps for statement in step.upgrade.statements):
        for read in read_statement(statement)[0]:
            all_parts = parts(read)
            touched |= {names.before(part).table for part in all_parts if not names.is_new(part)}
            names.see(read)
            touched -= {part.table for part in all_parts if names.is_new(part)}
    return frozenset(touched - {""})


@dataclass(frozen=True)
class _Judge:
    """Makes risks of one step."""

    step: Step
    order: str
    target: Target
    names: Names  # what the plan has made and renamed, as far as has been looked
    added: set[tuple[str, str]]  # new columns: table, column

    def risk(self, code: str, *, sql: str = "", table: str = "", **words: str) -> Risk:
        rule = RULES[code]
        severity = rule.severity
        if code == "drop-column" and self.order == MIGRATE_FIRST:
            severity = DANGER  # the old code is still live when it runs
        if rule.about_time and table in self.target.tables and self.target.tables[table].is_small:
            severity = INFO
        shown = named(table, self.target) if table else "its table"
        return Risk(
            code,
            severity,
            self.step.revision,
            self.step.sha256,
            rule.words.format(table=shown, **words),
            rule.rewrite,
            sql[:2000],
            table,
            rule.breaks_old,
            rule.loses_data,
        )


def _of_statements(judge: _Judge, linted: dict[int, list[str]]) -> Iterator[Risk]:
    rows, schema, added = list[str](), False, list[str]()
    loose = _loose(judge.step.downgrade)
    for number, statement in enumerate(judge.step.upgrade.statements):
        read, problem = read_statement(statement)
        if problem:
            schema = True
            yield judge.risk("unknown", sql=statement.sql, kind="not read", why=problem)
        for parsed in read:
            all_parts = parts(parsed)
            schema = schema or any(changes_schema(part.kind) for part in all_parts)
            added += [part.table for part in all_parts if part.kind.startswith(_EXPANDS)]
            theirs = [
                judge.names.before(part) for part in all_parts if not judge.names.is_new(part)
            ]
            rows += [part.table for part in theirs if part.kind in ROWS]
            for part in theirs:
                for code in _codes(judge, part, statement, loose):
                    yield judge.risk(code, sql=statement.sql, table=part.table, **_words(part))
            judge.names.see(parsed)
            judge.added.update(
                (p.table, c) for p in all_parts if p.kind.startswith(_ADDS) for c in p.columns
            )
            for part in theirs[:1]:
                for code in _specific(linted.get(number, [])):
                    yield judge.risk(code, sql=statement.sql, table=part.table, **_words(part))
    if rows and schema:
        yield judge.risk("data-mixed", table=rows[0])
    if added and judge.order != MIGRATE_FIRST:
        yield judge.risk("expand", table=", ".join(dict.fromkeys(added)))


_ADDS = "AlterTableStmt.AT_AddColumn"
_EXPANDS = ("CreateStmt", "CreateTableAsStmt", _ADDS)


def _codes(judge: _Judge, part: Part, statement: Statement, loose: frozenset[str]) -> Iterator[str]:
    """Yield the risks of one part, given what else the plan does."""
    if statement.in_transaction and part.kind in CONCURRENT:
        yield "concurrent-in-transaction"
    if statement.in_transaction and part.kind in OUTSIDE:
        yield "not-in-transaction"
    new = bool(part.columns) and judge.added.issuperset(
        (part.table, column) for column in part.columns
    )
    constraint = part.columns[0] if part.kind == "AlterTableStmt.AT_DropConstraint" else None
    for code in codes_of(part.kind):
        if code == "narrowed" and new:
            continue  # code that runs now does not write these columns
        if code == "drop-key" and constraint in loose:
            yield "loosened"
        elif code != "drop-key" or part.name not in loose:
            yield code


def _words(part: Part) -> dict[str, str]:
    """Return what the sentences of the rules may say of the part."""
    columns, dropped = ", ".join(part.columns), "constraint" if part.columns else "index"
    return {
        "what": part.name if part.name == part.label else f"{part.label} {part.name}".strip(),
        "called": part.name or "something that was prepared or given",
        "columns": columns or "a column",
        "dropped": f"{dropped} {columns or part.name}",
        "kind": part.kind,
        "why": "Its kind is not in the list of those we know.",
    }


_LOOSE = ("CONSTR_CHECK", "CONSTR_FOREIGN", "CONSTR_NOTNULL")


def _loose(downgrade: Rendered) -> frozenset[str]:
    """Return the indexes and constraints that the downgrade makes again; none is unique."""
    names: set[str] = set()
    for node in (
        parsed for statement in downgrade.statements for parsed in read_statement(statement)[0]
    ):
        if kind(node) == "IndexStmt" and not node.unique:
            names.add(joined([node.relation.schemaname, node.idxname]))
        elif kind(node) == "AlterTableStmt":
            for each in (unwrap(getattr(unwrap(command), "def")) for command in node.cmds):
                if each is not None and kind(each) == "Constraint":
                    names |= {each.conname} if enum(each, "contype") in _LOOSE else set()
    return frozenset(names)


def _of_file(judge: _Judge, breaks_old: bool) -> Iterator[Risk]:
    """Yield what is known of the revision as a whole.

    Where earlier code fits, no downgrade is needed to go back to it.
    """
    up, down = judge.step.upgrade, judge.step.downgrade
    none = "no-way-back" if breaks_old or up.kind else "no-downgrade"
    if up.kind:
        yield judge.risk("unrendered", why=up.problem)
    if down.kind in ("missing", "raised"):
        yield judge.risk(none, why=down.problem)
    elif down.kind:
        yield judge.risk("way-back-unknown", why=down.problem)
    elif not down.statements and (up.statements or up.kind):
        yield judge.risk(none, why="Its downgrade does nothing.")


def _specific(rules: Iterable[str]) -> list[str]:
    """Our codes for squawk's, without what another of them says more exactly."""
    codes = [SQUAWK[rule] for rule in rules if rule in SQUAWK]
    if {"foreign-key", "unique-constraint"} & set(codes):
        codes = [code for code in codes if code != "checked-constraint"]
    return codes


def worst(risks: Iterable[Risk]) -> str:
    """Return the highest severity among `risks`; info when there is none."""
    return max((risk.severity for risk in risks), key=RANK.__getitem__, default=INFO)


__all__ = ["CAUTION", "DANGER", "INFO", "RANK", "Risk", "RiskError", "assess", "tables_in", "worst"]
