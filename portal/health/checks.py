"""Checks of the portal's own parts: database, workers, queue, clocks, disks, the audit trail."""

import functools
import time
from collections.abc import Iterator
from datetime import datetime, timedelta

import psycopg
from django.conf import settings
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import Min
from django.template.defaultfilters import pluralize

from portal.audit.watch import last_known
from portal.database_role import role_fault
from portal.health.registry import Result, State, check, span
from portal.health.reports import database_clock, reporting
from portal.jobs import job_models
from portal.jobs.sweep import due
from portal.models.health import FRESH, Incident, Observation, ProcessReport

OK, UNKNOWN, WARNING, FAILING = State.OK, State.UNKNOWN, State.WARNING, State.FAILING
CONNECT_SECONDS = 3
OVERDUE_WARNING, OVERDUE_FAILING = 20.0, 45.0
SKEW_WARNING, SKEW_FAILING = 2.0, 10.0
DISK_WARNING, DISK_FAILING = 0.90, 0.97  # of it used
MB = 1024 * 1024


@check("Database", needed=True, unit="seconds")
def database(now: datetime) -> Iterator[Result]:
    """Connect again, briefly: a connection that stands says nothing about a frozen server."""
    parameters = connection.get_connection_params() | {"connect_timeout": CONNECT_SECONDS}
    started = time.monotonic()
    try:
        with psycopg.connect(**parameters) as fresh:
            fresh.execute("SELECT 1")
    except psycopg.Error:
        message = "The portal's database does not answer: start it, or correct DATABASE_URL."
        yield Result(FAILING, message)
        return
    took = time.monotonic() - started
    yield Result(OK, f"The database answers within {took * 1000:.0f} ms.", value=took)


@functools.cache
def _known_migrations() -> frozenset[tuple[str, str]]:
    """Return the migrations that this code brings."""
    return frozenset(MigrationLoader(None).disk_migrations or ())


@check("Tables", needed=True)
def migrations(now: datetime) -> Iterator[Result]:
    """Report whether the tables are those of this version."""
    known, applied = _known_migrations(), set(MigrationRecorder(connection).applied_migrations())
    missing = sorted(known - applied)
    ours = {app for app, _ in known}
    ahead = sorted(migration for migration in applied - known if migration[0] in ours)
    if missing:
        message = (
            f"{len(missing)} migrations are not applied, the first is {'.'.join(missing[0])}: run"
            " manage.py migrate."
        )
        yield Result(FAILING, message)
    elif ahead:
        message = (
            f"The tables belong to a newer version ({'.'.join(ahead[-1])}): deploy that version."
        )
        yield Result(WARNING, message)
    else:
        yield Result(OK, "Every migration is applied.")


@check("Workers")
def workers(now: datetime) -> Iterator[Result]:
    """Report whether somebody runs jobs, and whether a process fell silent out of order."""
    rows = ProcessReport.objects.filter(role=ProcessReport.Role.WORKER).order_by("host", "pid")
    at, _ = database_clock()
    live = [row for row in rows if at - row.at < FRESH]
    if not live:
        last = max((row.at for row in rows), default=None)
        since = f"since {last:%H:%M:%S} UTC" if last else "at all"
        message = f"No worker has reported {since}: nothing is read, deployed or migrated."
        yield Result(FAILING, f"{message} Restart it.", value=0)
        return
    newest = max(row.started_at for row in live)
    # One that fell silent before the newest started was replaced by it.
    silent = [row for row in rows if row not in live and row.at >= newest]
    if silent:
        message = f"{silent[0]} has been silent since {silent[0].at:%H:%M:%S} UTC."
        message += " Check whether it is frozen or was killed."
        yield Result(WARNING, message, value=len(live))
    else:
        message = f"{len(live)} worker{pluralize(len(live))} running."
        yield Result(OK, message, value=len(live))


@check("Queue", unit="seconds")
def queue(now: datetime) -> Iterator[Result]:
    """Report how long the job that has been due longest is kept waiting."""
    firsts = (due(model, now).aggregate(first=Min("wake_at"))["first"] for model in job_models())
    first = min(filter(None, firsts), default=now)
    waited = (now - first).total_seconds()
    state = _graded(waited, OVERDUE_WARNING, OVERDUE_FAILING)
    message = f"A job has been waiting for {waited:.0f} s. Add workers, or check their log."
    in_order = "Jobs start when they are due."
    yield Result(state, in_order if state is OK else message, value=waited)


@check("Clocks", unit="seconds")
def clocks(now: datetime) -> Iterator[Result]:
    """Report how far the clocks of the hosts are from the database's."""
    for row in reporting().order_by("role", "host", "pid"):
        skew = abs(row.clock_skew)
        state = _graded(skew, SKEW_WARNING, SKEW_FAILING)
        side = "ahead of" if row.clock_skew > 0 else "behind"
        message = f"The clock of {row.host} is {skew:.1f} s {side} the database's"
        message += ": set both by NTP." if state is not OK else "."
        yield Result(state, message, subject=str(row), value=row.clock_skew)


@check("Database role")
def database_role(now: datetime) -> Iterator[Result]:
    """Report whether the portal's role in PostgreSQL may no more than it needs."""
    connection.ensure_connection()
    fault = role_fault(connection.connection)
    in_order = "The portal's role in PostgreSQL owns its tables only."
    yield Result(WARNING if fault else OK, fault or in_order)


@check("Disk", unit="bytes")
def disk(now: datetime) -> Iterator[Result]:
    """Report how much room is left where each process keeps its files."""
    for row in reporting().order_by("role", "host", "pid"):
        used = 1 - row.disk_free / row.disk_total if row.disk_total else 1.0
        state = _graded(used, DISK_WARNING, DISK_FAILING)
        free = f"{row.disk_free / MB:,.0f} MB of {row.disk_total / MB:,.0f} MB are free"
        room = ": make room below PORTAL_VAR_DIR; clones in it can be deleted."
        message = f"{free} on {row.host}{'.' if state is OK else room}"
        yield Result(state, message, subject=str(row), value=row.disk_free)


def _graded(value: float, warning: float, failing: float) -> State:
    return FAILING if value >= failing else WARNING if value >= warning else OK


@check("Audit trail", unit="seconds")
def audit_chain(now: datetime) -> Iterator[Result]:
    """Report whether the chain was verified lately, and was intact."""
    seen = last_known()
    if seen is None or seen.at is None:
        message = "has not been verified yet. The worker verifies it after its start."
        yield Result(UNKNOWN, f"The audit trail {message}")
        return
    age = (now - seen.at).total_seconds()
    state, message = FAILING, f"was last verified {span(age)} ago. Check the worker."
    if not seen.ok:
        message = f"is not intact: {seen.sentence}"
    elif age <= 2 * settings.ANCHOR_SECONDS + 120:
        state, message = OK, f"is intact up to event {seen.position}."
    yield Result(state, f"The audit trail {message}", value=age)


@check("Anchor outside", unit="seconds")
def outside_anchor(now: datetime) -> Iterator[Result]:
    """Report how long ago the anchors outside the database were last seen to be complete."""
    seen = Observation.objects.filter(name="audit.anchored_outside").first()
    if seen is None:
        message = "The audit trail has not been anchored outside yet: connect a project, or set"
        yield Result(UNKNOWN, f"{message} AUDIT_REPOSITORY.")
        return
    age = (now - seen.at).total_seconds()
    late = age > 2 * settings.ANCHOR_SECONDS + 600
    message = f"The anchors in {seen.value} were last written or confirmed {span(age)} ago"
    message += ": look at the page Audit." if late else "."
    yield Result(WARNING if late else OK, message, value=age)


@check("PostgreSQL restarts")
def restarts(now: datetime) -> Iterator[Result]:
    """Say whether the database went away within ten minutes, though there is nothing to do."""
    lately = now - timedelta(minutes=10)
    last = Incident.objects.filter(check_name="restarts", opened_at__gt=lately).last()
    yield Result(OK, last.sentence if last else "The database has not been restarted recently.")
