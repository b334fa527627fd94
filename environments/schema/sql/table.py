"""Writes the table of docs/migration-rules.md: `python -m environments.schema.sql.table`."""

import re
from pathlib import Path

from environments.schema.plan.rules import RULES
from environments.schema.sql.kinds import KINDS

DOCUMENT = Path("docs/migration-rules.md")
_BETWEEN = re.compile(r"(<!-- kinds: .*? -->\n).*?(<!-- /kinds -->)", re.S)


def table() -> str:
    """Return every kind of statement with what is said of it, as Markdown."""
    lines = ["| Statement | Kind | What we say |", "|---|---|---|"]
    for name, kind in KINDS.items():
        message = ", ".join(f"`{code}` ({_severity(code)})" for code in kind.codes) or "–"
        lines.append(f"| `{kind.example.replace('|', chr(92) + '|')}` | `{name}` | {message} |")
    return "\n".join(lines) + "\n"


def _severity(code: str) -> str:
    rule = RULES[code]
    return (
        rule.severity
        + (", time" if rule.about_time else "")
        + (", breaks old code" if rule.breaks_old else "")
    )


def written(document: str) -> str:
    """Return the document with the table as it is now."""
    return _BETWEEN.sub(lambda match: match[1] + table() + match[2], document)


if __name__ == "__main__":
    DOCUMENT.write_text(written(DOCUMENT.read_text()))
