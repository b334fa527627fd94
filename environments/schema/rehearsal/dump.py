"""The schema of a database as text: written by `pg_dump`, loaded by `psql`, compared by object.

Not the catalogs are compared, since pg_dump knows every kind of object there is. PostgreSQL words
some expressions otherwise once they were dumped and loaded (CHECK … IN, casts), so two schemas are
equal when their texts are after equally many such round trips, on one server: versions write
differently.
"""

import re
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from environments.schema.plan.render import without_passwords
from environments.schema.run.address import normalise
from environments.schema.run.process import Redactor
from portal.server.children import spawn, stop_group
from portal.server.postgres_wheel import binaries

TIME_LIMIT_S = 180.0
ROWS_LIMIT_S = 1800.0
LOCK_WAIT = "5s"
ASK_SECONDS = 0.5
_LEFT_OUT = ("owner", "acl", "publications", "subscriptions", "security-labels", "tablespaces")
_HEADER = re.compile(
    r"^--\n-- Name: (?P<name>.*); Type: (?P<type>.*); Schema: (?P<schema>.*); Owner: .*\n--\n", re.M
)
_NOISE = re.compile(r"^(?:SET .*;|SELECT pg_catalog\.set_config\(.*|\\(?:un)?restrict .*|--.*|)$")
# PostgreSQL 18 names NOT NULL, and keeps the name when the column is renamed; before it they had
# none.
_NOT_NULL = re.compile(r'\bCONSTRAINT (?:"(?:[^"]|"")+"|\S+) NOT NULL\b')
TRIPS = 2  # after two round trips PostgreSQL's wording no longer changes
# Contains passwords of other servers, which a rehearsal must never read.
_NOT_LOADED = ("USER MAPPING",)


class DumpError(Exception):
    """One sentence, without a password. `busy`: try again later."""

    def __init__(self, sentence: str, *, busy: bool = False) -> None:
        super().__init__(sentence)
        self.busy = busy


class Cancelled(Exception):
    """Somebody asked for an end."""


@dataclass(frozen=True)
class Difference:
    """One object that two schemas do not share alike.

    `how`: added, removed or changed; `lines` begin with + or -.
    """

    how: str
    type: str
    name: str
    lines: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """“index ix_x added”."""
        lines = f": {'; '.join(self.lines[:6])}" if self.lines else ""
        return f"{self.type} {self.name} {self.how}{lines}"


def dump(url: str, into: Path, alive: Callable[[], bool]) -> str:
    """Return the schema of the database at `url`, read in a read-only transaction.

    Raise `DumpError`, `Cancelled`.
    """
    flags = ["--schema-only", f"--lock-wait-timeout={LOCK_WAIT}", f"--file={into}"]
    _call(["pg_dump", *flags, *(f"--no-{what}" for what in _LEFT_OUT)], url, into, alive)
    return into.read_text()


def dump_rows(
    url: str, tables: Sequence[str], others: Sequence[str], into: Path, alive: Callable[[], bool]
) -> None:
    """Write the database in pg_dump's own format, with the rows of `tables` (none: of all) and
    without those of `others`.

    The whole schema is there, since a table needs its types to be restored; where the role may not
    read it, only the tables. The file is its owner's alone. Raise `DumpError`, `Cancelled`; then
    nothing is left.
    """
    flags = ["--format=custom", "--no-owner", "--no-acl", f"--lock-wait-timeout={LOCK_WAIT}"]
    flags += ["--no-publications", "--no-subscriptions", f"--file={into}"]
    some = ["--no-large-objects", *(f"--exclude-table-data={table}" for table in others)]
    into.touch(mode=0o600)
    try:
        try:
            whole = [*flags, *(some if tables else [])]
            _call(["pg_dump", *whole], url, into, alive, limit=ROWS_LIMIT_S)
        except DumpError as error:
            if not tables or "may not read" not in str(error):
                raise
            only = [f"--table-and-children={table}" for table in tables]
            _call(["pg_dump", *flags, *only], url, into, alive, limit=ROWS_LIMIT_S)
    except BaseException:
        into.unlink(missing_ok=True)
        raise
    finally:
        into.with_suffix(".said").unlink(missing_ok=True)


def load(text: str, url: str, into: Path, alive: Callable[[], bool]) -> None:
    """Run a dump against the empty scratch database at `url`. Raise `DumpError`, `Cancelled`."""
    into.write_text(_loadable(text))
    flags = ["--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1"]
    _call(["psql", *flags, f"--file={into}"], url, into, alive)


def _call(
    command: list[str],
    url: str,
    file: Path,
    alive: Callable[[], bool],
    *,
    limit: float = TIME_LIMIT_S,
) -> None:
    address = normalise(url)
    parts = conninfo_to_dict(address.libpq)
    password = str(parts.pop("password", "") or "")
    variables = {
        "LANG": "C.UTF-8",
        "PGPASSWORD": password,
        "PGCONNECT_TIMEOUT": "10",
        "PGAPPNAME": "release-portal",
    }
    if command[0] == "pg_dump":
        variables["PGOPTIONS"] = "-c default_transaction_read_only=on"
    message, program = file.with_suffix(".said"), str(binaries() / command[0])
    with message.open("wb") as output:
        line = [program, *command[1:], f"--dbname={make_conninfo('', **parts)}"]
        process = spawn(line, env=variables, output=output, cwd=file.parent)
        _wait(process, alive, limit)
    if process.returncode:
        message_text = Redactor([password])(message.read_text(errors="replace"))
        raise _problem(command[0], message_text, address.where)


def _wait(process: subprocess.Popen[bytes], alive: Callable[[], bool], limit: float) -> None:
    """Wait until the process has ended; end it before where it is late or nobody wants it."""
    last_asked, deadline = time.monotonic(), time.monotonic() + limit
    try:
        while process.poll() is None:
            if time.monotonic() - last_asked > ASK_SECONDS:
                last_asked = time.monotonic()
                if not alive():
                    raise Cancelled
            if time.monotonic() > deadline:
                raise DumpError(f"It was not read or loaded within {limit:.0f} s.", busy=True)
            time.sleep(0.02)
    finally:
        if process.returncode is None:
            stop_group(process.pid, patience=3)
            process.wait()


def _problem(program: str, text: str, where: str) -> DumpError:
    match = re.search(r"(?:ERROR|FATAL|error):\s*(?:query failed: ERROR:\s*)?(.*)", text)
    reason = (match[1] if match else text.strip()[:300] or "no word").strip().rstrip(".")
    if program == "psql":
        return DumpError(f"The scratch server could not take over the schema: {reason}.")
    # pg_dump limits its waiting by the former.
    if "statement timeout" in text or "lock timeout" in text:
        locked = f"{where}: a table stayed locked for {LOCK_WAIT}, so the schema was not read."
        return DumpError(locked, busy=True)
    if "permission denied" in text:
        message = f"{where}: its role may not read the schema ({reason}); use a role that may."
        return DumpError(message)
    return DumpError(f"{where}: its schema could not be read: {reason}.", busy="connection" in text)


def _parts(text: str) -> list[tuple[re.Match[str], int]]:
    """Return the header of each object of a dump, and where the object ends."""
    heads = list(_HEADER.finditer(text))
    return list(zip(heads, [*(head.start() for head in heads[1:]), len(text)], strict=True))


def _loadable(text: str) -> str:
    """Return the dump without the objects that are not to be loaded."""
    for head, end in reversed(_parts(text)):
        if head["type"] in _NOT_LOADED:
            text = text[: head.start()] + text[end:]
    return text


def objects(text: str, *, without: str = "") -> dict[tuple[str, str], str]:
    """Return a dump's objects by type and name, without noise and the table `without`."""
    by_name: dict[tuple[str, str], str] = {}
    for head, end in _parts(text):
        schema, name = head["schema"], head["name"]
        if without and name.split(" ")[0] == without:
            continue
        key = (head["type"].lower(), name if schema in ("-", "public") else f"{schema}.{name}")
        body = _NOT_NULL.sub("NOT NULL", text[head.end() : end])
        lines = [line for line in body.splitlines() if not _NOISE.match(line)]
        if not lines:
            continue  # a header alone, as of the schema public where its owner was changed
        by_name[key] = "\n".join([by_name[key], *lines] if key in by_name else lines)
    return by_name


def differences(before: str, after: str, *, without: str = "") -> tuple[Difference, ...]:
    """Return what has to be said of the dump `after` to someone who knows `before`."""
    olds, news = objects(before, without=without), objects(after, without=without)
    changes = []
    for key in sorted({*olds, *news}):
        old, new = olds.get(key), news.get(key)
        if old == new:
            continue
        how = "added" if old is None else "removed" if new is None else "changed"
        lines = tuple(_lines(old, new)) if old is not None and new is not None else ()
        changes.append(Difference(how, *key, lines))
    return tuple(changes)


def settled(
    before: str, after: str, trip: Callable[[str], str], *, without: str = ""
) -> tuple[Difference, ...]:
    """Return the differences of two dumps that stay after equally many round trips.

    `trip` loads a dump into an empty database and dumps that; it is called only while there are
    differences. Raise what `trip` raises.
    """
    changes = differences(before, after, without=without)
    for _ in range(TRIPS):
        if changes:
            before, after = trip(before), trip(after)
            changes = differences(before, after, without=without)
    return changes


def drift(
    expected: str, loaded: str, trip: Callable[[str], str], *, without: str = ""
) -> tuple[Difference, ...]:
    """Return how a real schema differs from the one that migrations make.

    `expected` is as they made it, `loaded` once around. Raise what `trip` raises.
    """
    if differences(expected, loaded, without=without):
        expected = trip(expected)
    return settled(expected, loaded, trip, without=without)


def _lines(old: str, new: str) -> Iterable[str]:
    was, now = (
        [line.strip().rstrip(",") for line in without_passwords(text).splitlines()]
        for text in (old, new)
    )
    lines = [f"- {line}"[:300] for line in was if line not in now]
    lines += [f"+ {line}"[:300] for line in now if line not in was]
    return lines or ["only the order of the columns"]
