"""What can go wrong with a plan: squawk over the new statements, and rules of our own that know Alembic.

Tables which the plan itself makes cannot be locked or rewritten under anybody, so nothing is said about them.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from environments.schema.alembic_env.statements import bare
from environments.schema.plan import Step
from environments.schema.rules import CAUTION, DANGER, INFO, RANK, RULES, SQUAWK
from environments.schema.target import Target, named

SQUAWK_BINARY = Path(sys.executable).with_name("squawk")
SQUAWK_SECONDS = 30
MIGRATE_FIRST = "migrate_first"
_NAME = r'((?:"[^"]+"|[\w$]+)(?:\.(?:"[^"]+"|[\w$]+))?)'
_MAKES = re.compile(rf"create (?:unlogged )?(?:table|materialized view) (?:if not exists )?{_NAME}", re.I)
_ON = re.compile(
    r"(?:alter table|drop table|truncate(?: table)?|update|delete from|insert into|merge into|lock(?: table)?"
    r"|vacuum full|cluster|reindex table|create (?:unique )?index .*?\bon"
    r"|with .*?\b(?:update|delete from|insert into))"
    rf" (?:if exists )?(?:only )?{_NAME}",
    re.I,
)
_DROPS = re.compile(r"drop (view|materialized view|type|function|sequence|schema|domain|trigger|extension)\b", re.I)
_RENAMES_VALUE = re.compile(r"alter (?:type|view|sequence|schema) .* rename ", re.I)
_CONCURRENT = re.compile(r"(?:create (?:unique )?index|drop index|reindex \w+) concurrently\b", re.I)
_LOCKS = re.compile(r"(?:lock|vacuum full|cluster|reindex (?!\w+ concurrently))", re.I)
_ROWS = re.compile(r"(?:update|delete|merge|with .*\b(?:update|delete from)|insert .*\bselect)\b", re.I)
_NO_SCHEMA = re.compile(r"(?:insert|update|delete|merge|with|select|set|reset|comment|analyze|copy|values)\b", re.I)
_EXPANDS = re.compile(r"create table|alter table .* add (?!constraint|unique|check|foreign|primary|exclude)", re.I)


@dataclass(frozen=True)
class Risk:
    """Something to know before `revision` (its file: `sha256`) runs. `sql` is the statement, "" for the file."""

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


class RiskError(Exception):
    """The rules could not be asked; the message says why."""


def assess(steps: Sequence[Step], *, order: str = "deploy_first", target: Target | None = None) -> tuple[Risk, ...]:
    """The risks of `steps`, in their order, the worst of each first. `order`: a `DeployOrder`. Raises `RiskError`."""
    target = target or Target()
    linted = _squawk(steps, target.server)
    made: set[str] = set()
    found: list[Risk] = []
    for number, step in enumerate(steps):
        judge = _Judge(step, order, target, made)
        mine = list(_of_statements(judge, linted.get(number, {})))
        mine += _of_file(judge, any(one.breaks_old for one in mine))
        found += sorted(dict.fromkeys(mine), key=lambda risk: -RANK[risk.severity])
    return tuple(found)


def tables_in(steps: Sequence[Step]) -> frozenset[str]:
    """The tables that the upgrades touch and do not make."""
    sent = [bare(one.sql) for step in steps for one in step.upgrade.statements]
    return frozenset(filter(None, map(_table, sent))) - set(filter(None, map(_made, sent)))


@dataclass(frozen=True)
class _Judge:
    """Makes risks of one step."""

    step: Step
    order: str
    target: Target
    made: set[str]  # the tables that are new, as far as has been looked

    def risk(self, code: str, *, sql: str = "", table: str = "", **words: str) -> Risk:
        rule = RULES[code]
        severity = rule.severity
        if code == "drop-column" and self.order == MIGRATE_FIRST:
            severity = DANGER  # the old code is still live when it runs
        if rule.about_time and table in self.target.tables and self.target.tables[table].is_small:
            severity = INFO
        said = rule.words.format(table=named(table, self.target) if table else "its table", **words)
        return Risk(
            code, severity, self.step.revision, self.step.sha256, said, rule.rewrite,
            sql[:2000], table, rule.breaks_old, rule.loses_data,
        )  # fmt: skip


def _of_statements(judge: _Judge, linted: dict[int, list[str]]) -> Iterator[Risk]:
    rows, schema, added = list[str](), False, list[str]()
    for number, statement in enumerate(judge.step.upgrade.statements):
        text = bare(statement.sql)
        table = _table(text)
        if _EXPANDS.match(text):
            added.append(_made(text) or table)
        schema = schema or not _NO_SCHEMA.match(text)
        if new := _made(text):
            judge.made.add(new)
        if table and table in judge.made:
            continue
        if _ROWS.match(text) and table:
            rows.append(table)
        for code in dict.fromkeys([*_specific(linted.get(number, [])), *_own(text, statement.in_transaction)]):
            kind = _DROPS.match(text)
            yield judge.risk(code, sql=statement.sql, table=table, kind=kind[1].lower() if kind else "name")
    if rows and schema:
        yield judge.risk("data-mixed", table=rows[0])
    if added and judge.order != MIGRATE_FIRST:
        yield judge.risk("expand", table=", ".join(dict.fromkeys(added)))


def _own(text: str, in_transaction: bool) -> Iterator[str]:
    """Codes of our own rules for one bare statement."""
    verb = text.split(" ", 1)[0].lower()
    if _CONCURRENT.match(text) and in_transaction:
        yield "concurrent-in-transaction"
    if _LOCKS.match(text):
        yield "long-lock"
    if verb == "truncate":
        yield "truncate"
    if verb == "do":
        yield "opaque"
    if _RENAMES_VALUE.match(text):
        yield "rename"
    if _DROPS.match(text):
        yield "drop-other"
    if _ROWS.match(text):
        yield "data-change"
        if verb == "delete" or (verb == "with" and "delete from" in text.lower()):
            yield "data-loss"


def _of_file(judge: _Judge, breaks_old: bool) -> Iterator[Risk]:
    """What is known of the revision as a whole. Where earlier code fits, no downgrade is needed to go back to it."""
    step = judge.step
    needed = breaks_old or bool(step.upgrade.kind)
    if step.upgrade.kind:
        yield judge.risk("unrendered", why=step.upgrade.problem)
    if step.downgrade.kind in ("missing", "raised"):
        yield judge.risk("no-way-back" if needed else "no-downgrade", why=step.downgrade.problem)
    elif step.downgrade.kind:
        yield judge.risk("way-back-unknown", why=step.downgrade.problem)
    elif not step.downgrade.statements and (step.upgrade.statements or step.upgrade.kind):
        yield judge.risk("no-way-back" if needed else "no-downgrade", why="Its downgrade does nothing.")


def _specific(rules: Iterable[str]) -> list[str]:
    """Our codes for squawk's, without what another of them says more exactly."""
    codes = [SQUAWK[rule] for rule in rules if rule in SQUAWK]
    if {"foreign-key", "unique-constraint"} & set(codes):
        codes = [code for code in codes if code != "checked-constraint"]
    return codes


def _table(text: str) -> str:
    found = _ON.match(text)
    return _folded(found[1]) if found else ""


def _made(text: str) -> str:
    found = _MAKES.match(text)
    return _folded(found[1]) if found else ""


def _folded(name: str) -> str:
    """As the server reads a name: in lower case unless quoted; quotes only where they are needed."""
    parts = re.findall(r'"[^"]+"|[^.]+', name)
    plain = [
        part[1:-1] if re.fullmatch(r'"[a-z_][a-z0-9_$]*"', part) else part if part[0] == '"' else part.lower()
        for part in parts
    ]
    return ".".join(plain).removeprefix("public.")


def _squawk(steps: Sequence[Step], server: int) -> dict[int, dict[int, list[str]]]:
    """Squawk's rules by step and statement."""
    lines, places = _script(steps)
    if not places:
        return {}
    command = [str(SQUAWK_BINARY), "--reporter", "json", "--stdin-filepath", "plan.sql"]
    command += ["--pg-version", f"{server}.0"] if server else []
    try:
        done = subprocess.run(
            command, input="\n".join(lines), capture_output=True, text=True, timeout=SQUAWK_SECONDS, env={}, cwd="/"
        )
        findings = json.loads(done.stdout)
    except (OSError, subprocess.TimeoutExpired, ValueError):
        raise RiskError("squawk, which looks for risky statements, did not answer; install it anew.") from None
    found: dict[int, dict[int, list[str]]] = {}
    for one in findings:
        if (place := places.get(one["line"])) is not None:
            found.setdefault(place[0], {}).setdefault(place[1], []).append(one["rule_name"])
    return found


def _script(steps: Sequence[Step]) -> tuple[list[str], dict[int, tuple[int, int]]]:
    """All upgrades as one script for squawk, and which line (from 0) belongs to which step and statement."""
    lines: list[str] = []
    places: dict[int, tuple[int, int]] = {}
    for number, step in enumerate(steps):
        inside = False
        for index, statement in enumerate(step.upgrade.statements):
            if inside != statement.in_transaction:
                lines.append("BEGIN;" if statement.in_transaction else "COMMIT;")
                inside = statement.in_transaction
            for line in [*statement.sql.splitlines(), ";"]:
                places[len(lines)] = (number, index)
                lines.append(line)
        if inside:
            lines.append("COMMIT;")
    return lines, places


def worst(risks: Iterable[Risk]) -> str:
    """The highest severity among `risks`; info when there is none."""
    return max((risk.severity for risk in risks), key=RANK.__getitem__, default=INFO)


__all__ = ["CAUTION", "DANGER", "INFO", "RANK", "Risk", "RiskError", "assess", "tables_in", "worst"]
