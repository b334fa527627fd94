"""Writes and reads the file: a tar of the database's dump, the audit anchors, and a manifest."""

import hashlib
import json
import os
import subprocess
import tarfile
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from django.core.management import call_command
from django.db import connection, transaction
from django_q.models import OrmQ
from psycopg.conninfo import make_conninfo

from portal import audit
from portal.audit.anchors import anchors_path
from portal.jobs import OPEN, JobStatus, job_models
from portal.models.audit import AuditHead
from portal.models.health import HealthWatch, ProcessReport
from portal.server.postgres_wheel import binaries
from portal.version import VERSION

DUMP, ANCHORS, MANIFEST = "database.dump", "audit-anchors.jsonl", "backup.json"
HOURS = 6 * 3600


class BackupError(RuntimeError):
    """The file could not be written or restored; one sentence says why, and what to do."""


@dataclass(frozen=True)
class Manifest:
    """What a file says about itself. `position`: the trail holds at least this many events."""

    version: str
    made_at: str
    position: int
    dump_sha256: str


def back_up(file: Path, *, now: datetime) -> Manifest:
    """Write everything that cannot be made again to the new `file`, readable by its owner alone.

    The portal may run: the dump is one snapshot, and the anchors, copied before it, are not ahead
    of the trail. Raise `BackupError`.
    """
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise BackupError(f"{file} cannot be made ({error.strerror}): name a new file.") from None
    try:
        with tempfile.TemporaryDirectory() as name, os.fdopen(handle, "wb") as out:
            return _write(Path(name), out, now)
    except BaseException:
        with suppress(OSError):
            file.unlink()
        raise


def _write(directory: Path, out: object, now: datetime) -> Manifest:
    anchors = anchors_path().read_bytes() if anchors_path().exists() else b""
    (directory / ANCHORS).write_bytes(anchors)
    position = AuditHead.objects.values_list("position", flat=True).first() or 0
    _run("pg_dump", ["--format=custom", "--no-owner", f"--file={directory / DUMP}"])
    manifest = Manifest(VERSION, now.isoformat(), position, _sha256(directory / DUMP))
    (directory / MANIFEST).write_text(json.dumps(asdict(manifest)))
    try:
        with tarfile.open(fileobj=out, mode="w") as archive:  # type: ignore[call-overload]
            for name in (MANIFEST, ANCHORS, DUMP):
                archive.add(directory / name, name)
    except OSError as error:
        raise BackupError(f"The backup could not be written whole ({error.strerror}).") from None
    return manifest


def restore(file: Path, *, now: datetime) -> Manifest:
    """Bring the database of this portal, which must be empty, and its anchors to what `file` holds.

    Jobs that were under way look at the world when a worker starts, and go on from there. Raise
    `BackupError`.
    """
    _require_empty()
    with tempfile.TemporaryDirectory() as name:
        manifest = _unpack(file, Path(name))
        flags = ["--no-owner", "--single-transaction", "--exit-on-error"]
        _run("pg_restore", [*flags, str(Path(name) / DUMP)])
        anchors_path().parent.mkdir(parents=True, exist_ok=True)
        anchors_path().write_bytes((Path(name) / ANCHORS).read_bytes())
        anchors_path().chmod(0o600)
    connection.close()
    call_command("migrate", verbosity=0, interactive=False)
    _settle_rows(manifest, now)
    return manifest


def _require_empty() -> None:
    tables = connection.introspection.table_names()
    if tables:
        raise BackupError(
            f"The database is not empty ({len(tables)} tables): restore into a new one, named in"
            " DATABASE_URL or PORTAL_VAR_DIR."
        )
    if anchors_path().exists():
        raise BackupError(f"{anchors_path()} holds anchors of another trail: move it away first.")


def _unpack(file: Path, directory: Path) -> Manifest:
    try:
        with tarfile.open(file, "r:") as archive:
            for name in (MANIFEST, ANCHORS, DUMP):
                archive.extract(name, directory, filter="data")
        manifest = Manifest(**json.loads((directory / MANIFEST).read_text()))
    except (OSError, KeyError, ValueError, TypeError, tarfile.TarError) as error:
        raise BackupError(f"{file} is no backup of a portal ({error}).") from None
    if _sha256(directory / DUMP) != manifest.dump_sha256:
        damage = "the dump is not the one that was written. Take another backup."
        raise BackupError(f"{file} is damaged: {damage}")
    return manifest


def _settle_rows(manifest: Manifest, now: datetime) -> None:
    """Delete what belonged to the processes of then; what was on its way to people is not sent a
    second time.
    """
    with transaction.atomic():
        for rows in (OrmQ.objects, ProcessReport.objects, HealthWatch.objects):
            rows.all().delete()
        for model in job_models():
            rows = model._default_manager.filter(status__in=OPEN)
            rows.update(lease_until=None, woken_at=None, wake_at=now)
            if not model.repeatable:
                ended = {"finished_at": now, "sentence": "Not repeated after a restore."}
                rows.update(status=JobStatus.CANCELLED, **ended)
        message = f"Restored from a backup of {manifest.made_at} (version {manifest.version})."
        data = asdict(manifest)
        audit.record("portal.restored", actor=None, sentence=message, data=data, now=now)


def _run(program: str, arguments: Sequence[str]) -> None:
    """One program of PostgreSQL on the portal's database; the password goes by the environment."""
    values = connection.settings_dict
    where = {"host": "HOST", "port": "PORT", "user": "USER", "dbname": "NAME"}
    # With all that the portal's own connection demands, TLS above all, but its session's options.
    demands = {**values["OPTIONS"], **{key: values[name] for key, name in where.items()}}
    conninfo = make_conninfo(**demands | {"options": ""})
    env = {"PATH": os.environ.get("PATH", ""), "LANG": "C.UTF-8", "PGPASSWORD": values["PASSWORD"]}
    command = [str(binaries() / program), f"--dbname={conninfo}", *arguments]
    try:
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=HOURS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BackupError(f"{program} did not run to its end ({type(error).__name__}).") from None
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        raise BackupError(f"{program} failed: {last[0]}")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
