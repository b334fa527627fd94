"""The anchors: the head of the chain at a time, a JSON line each, where no database reaches."""

import json
import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.utils.module_loading import import_string

from portal.audit.chain import GENESIS, Link
from portal.jobs import AuditWatch, host_name
from portal.models.health import ProcessReport

# The first anchor of a file that a worker began by itself beside those of other workers, and the
# one with which a person accepted that. Both are where the database's owner cannot write.
BEGUN, ACCEPTED = "begun", "accepted"


@dataclass(frozen=True)
class Anchor:
    """The head of the chain at a time, and the seal over the events after `after`; in hex."""

    position: int
    digest: str
    at: str
    after: int = 0
    content: str = ""
    host: str = ""  # the directory of files that it was made for: `own_host`
    note: str = ""  # BEGUN or ACCEPTED

    @property
    def link(self) -> Link:
        return Link(self.position, bytes.fromhex(self.digest))


class Lost(ValueError):
    """Anchors that were left outside are not there any more; the sentence says where."""


class UnreadableAnchors(ValueError):
    """The file of anchors is not as it was written; the sentence names file and line."""


def anchors_path() -> Path:
    """Return where the anchors are kept; copy the file to where no owner of the database writes."""
    return Path(settings.VAR_DIR) / "audit-anchors.jsonl"


def own_host(directory: Path) -> str:
    """Return what names this directory of files among those of several hosts; made once."""
    path = directory / "audit-host"
    with suppress(FileExistsError), path.open("x") as file:
        file.write(secrets.token_hex(8))
    return path.read_text()


def append(path: Path, noted: Anchor) -> None:
    """Add one anchor, which is then on disk. Raise OSError when it cannot be written whole."""
    line = as_line(noted)
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        if os.write(file, line) != len(line):
            written = f"Only a part of the anchor could be written to {path}"
            raise OSError(f"{written}: is the disk full?")
        os.fsync(file)
    finally:
        os.close(file)


def read_anchors(path: Path | None = None) -> list[Anchor]:
    """Return all anchors of the file, if there is one, oldest first. Raise `UnreadableAnchors`."""
    path = path or anchors_path()
    return parse_all(path.read_bytes().splitlines(), str(path)) if path.exists() else []


def parse_all(lines: Iterable[bytes], name: str) -> list[Anchor]:
    """Return the anchors on the lines of what is called `name`; raise `UnreadableAnchors`."""
    return [parse(line, f"Line {number} of {name}") for number, line in enumerate(lines, start=1)]


def last_anchor(path: Path) -> Anchor:
    """Return the last line alone, however long the file has become."""
    lines = []
    if path.exists():
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 4096))
            lines = file.read().splitlines()
    return parse(lines[-1], f"The last line of {path}") if lines else Anchor(0, GENESIS.hex(), "")


def as_line(noted: Anchor) -> bytes:
    """Return the anchor as it stands in the file."""
    fields = asdict(noted)
    if not noted.note:
        del fields["note"]  # so that an older portal reads the file
    return json.dumps(fields).encode() + b"\n"


def parse(line: bytes, name: str) -> Anchor:
    """Return the anchor on one line of what is called `name`; raise `UnreadableAnchors`."""
    try:
        noted = Anchor(**json.loads(line))
        sizes = {
            len(bytes.fromhex(digest)) for digest in (noted.digest, noted.content or noted.digest)
        }
        if {type(noted.position), type(noted.after)} != {int} or sizes != {32}:
            raise ValueError("not an anchor")
    except (TypeError, ValueError) as error:
        message = f"{name} is not an anchor: restore the file from its copy."
        raise UnreadableAnchors(message) from error
    return noted


@dataclass(frozen=True)
class Kept:
    """Every anchor that is known, and what is missing of them in a sentence (or "")."""

    anchors: list[Anchor]
    missing: str = ""

    @property
    def begun(self) -> str:
        """What is said while a file that a worker began by itself proves nothing of the events
        before it: nobody has accepted it, and no other worker's anchors reach as far.
        """
        for first in (anchor for anchor in self.anchors if anchor.note == BEGUN):
            if any(
                anchor.note == ACCEPTED
                if anchor.host == first.host
                else anchor.position >= first.position
                for anchor in self.anchors
            ):
                continue
            return (
                f"This worker had no anchors and began its own at event {first.position}"
                f" ({first.at[:16]}): here the {first.position} events before are held by no"
                " anchor. Verify them with another worker's anchors (verify_audit --anchors),"
                ' then accept the beginning: manage.py anchor_audit --accept "why".'
            )
        return ""


@dataclass(frozen=True)
class Outside:
    """What is anchored at the place `where` beside the file; `missing`: what is gone there."""

    anchors: list[Anchor]
    where: str
    missing: str = ""


def gather(*, path: Path | None = None, ask: bool = False) -> Kept:
    """Return the anchors of the file, and with `ask` of the place outside too.

    None at all is in order only while none was ever made: the worker has not, and outside there are
    none. What other hosts left outside is not missed in the file. Raise `UnreadableAnchors`.
    """
    path = path or anchors_path()
    noted = read_anchors(path)
    outside = ask_outside() if ask else Outside([], "")
    missing = outside.missing
    ours = {"", own_host(path.parent)} if noted else set()
    last = max((anchor.position for anchor in outside.anchors if anchor.host in ours), default=0)
    if not noted and (outside.anchors or _was_anchored()):
        kept = f" What {outside.where} holds was taken instead." if outside.anchors else ""
        why = f"{path} is missing or empty, yet anchors were made"
        missing = f"The anchors are gone: {why}; restore it.{kept}"
    elif last > max((anchor.position for anchor in noted), default=0):
        more = f"{outside.where} knows an anchor at event {last}"
        missing = f"The end of {path} is cut off: {more}; restore the file."
    return Kept([*noted, *(anchor for anchor in outside.anchors if anchor not in noted)], missing)


def restore() -> str:
    """Write the file again from the anchors outside, where a host lost its disk; return what was
    done, or "". A file that is there stays: that it is cut off or empty is for `verify` to say.
    """
    path = anchors_path()
    if path.exists() or not _was_anchored():
        return ""
    outside = ask_outside()
    if outside.missing or not outside.anchors:
        return ""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.writelines(map(as_line, outside.anchors))
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(path)
    restored = f"{len(outside.anchors)} anchors were restored from {outside.where}."
    return f"{path} was gone with the worker's disk; {restored}"


def begins_here() -> bool:
    """Return whether this host has no file because others anchored until now: it begins its own."""
    others = ProcessReport.objects.filter(role=ProcessReport.Role.WORKER)
    return (
        not anchors_path().exists()
        and not (Path(settings.VAR_DIR) / "audit-host").exists()
        and _was_anchored()
        and others.exclude(host=host_name()).exists()
    )


def ask_outside() -> Outside:
    """Return the anchors that lie where the database's owner cannot write, if there is a place."""
    if not settings.AUDIT_OUTSIDE:
        return Outside([], "")
    answer: Outside = import_string(f"{settings.AUDIT_OUTSIDE}.read")()
    return answer


def write_outside(now: datetime) -> str:
    """Leave the newest anchors outside too, if it is time; return what there is to say, or "".

    Raise `Lost` when what was left there is gone.
    """
    if not settings.AUDIT_OUTSIDE:
        return ""
    message: str = import_string(f"{settings.AUDIT_OUTSIDE}.write")(now)
    return message


def _was_anchored() -> bool:
    return AuditWatch.objects.filter(ok=True).exists()  # it anchors what it finds sound, at once
