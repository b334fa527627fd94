"""A log line as one JSON object, for collectors; LOG_FORMAT=json chooses it."""

import json
import logging
from datetime import UTC, datetime

from portal.invisible_characters import LogFormatter
from portal.logs import trace


class JsonFormatter(LogFormatter):
    """`at`, `level`, `logger`, `message`, and where known `trace`, `job` and `exception`."""

    def format(self, record: logging.LogRecord) -> str:
        record.message = record.getMessage()
        self.formatMessage(record)  # takes out of `message` what must not be seen
        fields = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.message,
            "trace": trace.current(),
            "job": trace.current_job(),
            "exception": self.formatException(record.exc_info) if record.exc_info else "",
        }
        shown = {name: value for name, value in fields.items() if value}
        return json.dumps(shown, ensure_ascii=False)
