"""The log of the embedded PostgreSQL: where a start begins in it, and what it says of a failure."""

import re
from pathlib import Path
from typing import IO

MAX_LOG_BYTES = 10_000_000
LOG_MARK = "-- start --"


def open_log(directory: Path) -> IO[bytes]:
    """Return the log, begun again when it has grown large, with a mark where this start begins."""
    log = directory / "log"
    if log.exists() and log.stat().st_size > MAX_LOG_BYTES:
        log.replace(directory / "log.1")
    file = log.open("ab", buffering=0)
    file.write(LOG_MARK.encode() + b"\n")
    return file


def last_words(directory: Path) -> str:
    """Return what the log says of this start's failure, and where to read the rest."""
    lines = [line.strip() for line in log_of_this_start(directory).splitlines() if line.strip()]
    telling = [line for line in lines if re.search("FATAL|PANIC|error:|could not", line)]
    return f"{[*telling, *lines, 'no word in the log'][0]} (see {directory / 'log'})"


def log_of_this_start(directory: Path) -> str:
    return (directory / "log").read_text(errors="replace").rpartition(LOG_MARK)[2]
