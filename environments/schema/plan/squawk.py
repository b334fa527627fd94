"""Squawk's rules as a second opinion: a plan as one script, and what squawk says of each line."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from environments.schema.plan.render import Statement, Step
from environments.schema.sql.parser import Message, UnreadableError, parse

SQUAWK_BINARY = Path(sys.executable).with_name("squawk")
SQUAWK_SECONDS = 30


class RiskError(Exception):
    """The rules could not be asked; the message says why."""


def read_statement(statement: Statement) -> tuple[tuple[Message, ...], str]:
    """Return what PostgreSQL's grammar reads (a string may hold several), or why it cannot."""
    try:
        return parse(statement.sql), ""
    except UnreadableError as error:
        return (), str(error)


def ask(steps: Sequence[Step], server: int) -> dict[int, dict[int, list[str]]]:
    """Return Squawk's rules by step and statement."""
    lines, places = _script(steps)
    if not places:
        return {}
    command = [str(SQUAWK_BINARY), "--reporter", "json", "--stdin-filepath", "plan.sql"]
    command += ["--pg-version", f"{server}.0"] if server else []
    try:
        done = subprocess.run(
            command,
            input="\n".join(lines),
            capture_output=True,
            text=True,
            timeout=SQUAWK_SECONDS,
            env={},
            cwd="/",
        )
        findings = json.loads(done.stdout)
    except (OSError, subprocess.TimeoutExpired, ValueError):
        why = "squawk, which finds risky statements, did not answer. Reinstall it."
        raise RiskError(why) from None
    warnings: dict[int, dict[int, list[str]]] = {}
    for finding in findings:
        if place := places.get(finding["line"]):
            step, statement = place
            warnings.setdefault(step, {}).setdefault(statement, []).append(finding["rule_name"])
    return warnings


def _script(steps: Sequence[Step]) -> tuple[list[str], dict[int, tuple[int, int]]]:
    """Return all upgrades as one script, and the step and statement of each line (from 0)."""
    lines: list[str] = []
    places: dict[int, tuple[int, int]] = {}
    for number, step in enumerate(steps):
        inside = False
        for index, statement in enumerate(step.upgrade.statements):
            if inside != statement.in_transaction:
                lines.append("BEGIN;" if statement.in_transaction else "COMMIT;")
                inside = statement.in_transaction
            if read_statement(statement)[1]:
                continue  # it needs a person anyway, and squawk may crash on it
            for line in [*statement.sql.splitlines(), ";"]:
                places[len(lines)] = (number, index)
                lines.append(line)
        if inside:
            lines.append("COMMIT;")
    return lines, places


SQUAWK = {
    "adding-required-field": "required-column",
    "adding-field-with-default": "rewrite",
    "adding-serial-primary-key-field": "rewrite",
    "require-concurrent-index-creation": "blocking-index",
    "require-concurrent-index-deletion": "blocking-index-drop",
    "changing-column-type": "column-type",
    "renaming-column": "rename",
    "renaming-table": "rename",
    "adding-not-nullable-field": "set-not-null",
    "adding-foreign-key-constraint": "foreign-key",
    "constraint-missing-not-valid": "checked-constraint",
    "disallowed-unique-constraint": "unique-constraint",
    "ban-drop-column": "drop-column",
    "ban-drop-table": "drop-table",
    "syntax-error": "unreadable",
}
