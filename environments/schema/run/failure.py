"""What a run that did not succeed has left half done, and the commands that fix it.

Pure; runs nothing.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_NAME = r'((?:"[^"]+"|[\w$]+)(?:\.(?:"[^"]+"|[\w$]+))?)'
_INVERSE = (
    (
        rf"create\s+(?:unique\s+)?index\s+(?:concurrently\s+)?(?:if\s+not\s+exists\s+)?{_NAME}\s+on\b",
        "DROP INDEX CONCURRENTLY IF EXISTS {0};",
    ),
    (rf"create\s+(?:unlogged\s+)?table\s+(?:if\s+not\s+exists\s+)?{_NAME}", "DROP TABLE {0};"),
    (rf"create\s+sequence\s+(?:if\s+not\s+exists\s+)?{_NAME}", "DROP SEQUENCE {0};"),
    (rf"create\s+type\s+{_NAME}", "DROP TYPE {0};"),
    (rf"create\s+view\s+{_NAME}", "DROP VIEW {0};"),
    (
        rf"alter\s+table\s+(?:only\s+)?{_NAME}\s+add\s+(?:column\s+)(?:if\s+not\s+exists\s+)?{_NAME}",
        "ALTER TABLE {0} DROP COLUMN {1};",
    ),
    (
        rf"alter\s+table\s+(?:only\s+)?{_NAME}\s+add\s+constraint\s+{_NAME}",
        "ALTER TABLE {0} DROP CONSTRAINT {1};",
    ),
)


@dataclass(frozen=True)
class NextCommand:
    """Why, and what to type; `command` is empty where only a person can tell."""

    why: str
    command: str = ""


def next_commands(
    *, invalid: Sequence[str], kept: Sequence[str], table: str, known: bool
) -> tuple[NextCommand, ...]:
    """Return what to do before the run is tried again, in order.

    `invalid`: invalid indexes as SQL names them; `kept`: statements that were not rolled back;
    `known`: whether the database could be read afterwards; `table`: the version table.
    """
    commands: list[NextCommand] = []
    if not known:
        why = "The database could not be read after the run; ask it where it is."
        commands.append(NextCommand(why, f"SELECT version_num FROM {table};"))  # noqa: S608 - text
    for name in invalid:
        why = (
            f"The index {name} was not built to its end and is invalid: drop it, and the next "
            "run builds it again."
        )
        commands.append(NextCommand(why, f"DROP INDEX CONCURRENTLY IF EXISTS {name};"))
    for statement in reversed(kept):  # the last one first, as it rests on those before
        message, back = " ".join(statement.split())[:200], inverse(statement)
        if back is None:
            commands.append(
                NextCommand(
                    "This ran and was not rolled back; undo it, or let the revision skip it:"
                    f" {message}"
                )
            )
        elif not any(command.command == back for command in commands):
            why = (
                "was not rolled back, so it would block the next run. Undo it, unless the "
                "revision says IF NOT EXISTS."
            )
            commands.append(NextCommand(f"“{message}” {why}", back))
    return tuple(commands)


def inverse(statement: str) -> str | None:
    """Return what takes back what `statement` made; None where that cannot be told."""
    for pattern, back in _INVERSE:
        if match := re.match(rf"\s*{pattern}", statement, re.IGNORECASE):
            return back.format(*match.groups())
    return None
