"""What a migration prints about itself, read line by line: Alembic's and SQLAlchemy's own words.

Only an explanation: whether a run succeeded is never decided by it.
"""

import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from portal.program_failures import complaint

_STEP = re.compile(r"Running (upgrade|downgrade) (.*?) ?-> ([^\s,]*)")
_FRAME = re.compile(r'^ *File "([^"]+)", line \d+, in (?:up|down)grade$')
_SQL = re.compile(r"^\[SQL: (.*)$")
_ERROR = re.compile(
    r"^(?:FAILED: |ERROR \[.*?\] |[\w.]*(?:Error|Exception): |[a-z]\w*(?:\.\w+)+: )(.*\S)"
)
_DETAIL = re.compile(r"^DETAIL:\s+(.*\S)")
_LEADING = re.compile(r"^\([\w.]+\) ")
MAX_STATEMENT = 2000
KEPT_LINES = 120


@dataclass
class Output:
    """What was read so far.

    `revision`: the last that Alembic began; `file`: the script in the last traceback;
    `statement` and `error`: of the last error.
    """

    revision: str = ""
    file: str = ""
    statement: str = ""
    error: str = ""
    detail: str = ""  # PostgreSQL's, which follows its error
    _open: bool = False
    _last: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT_LINES))

    @property
    def complaint(self) -> str:
        """What the program lacked, by its last lines, and the way out; "" for nothing."""
        return complaint("\n".join(self._last))

    def read(self, lines: Iterable[str]) -> None:
        """Take in more lines, in order."""
        for line in lines:
            self._last.append(line)
            self._line(line)

    def _line(self, line: str) -> None:
        if self._open:
            self._continue(line)
        elif match := _STEP.search(line):
            self.revision = match[3] if match[1] == "upgrade" else match[2].split(",")[0].strip()
            self.statement = self.error = self.detail = ""
        elif match := _FRAME.match(line):
            self.file = match[1]
        elif match := _SQL.match(line):
            self.statement, self._open = "", True
            self._continue(match[1])
        elif match := _DETAIL.match(line):
            self.detail = match[1][:500]
        elif match := _ERROR.match(line):
            self.error = _LEADING.sub("", match[1])[:500]

    def _continue(self, line: str) -> None:
        self._open = not line.endswith("]")
        self.statement = f"{self.statement}\n{line.removesuffix(']')}".strip()[:MAX_STATEMENT]
