"""Incidents: a check that is not in order at two looks in a row is announced, as an audit event; at
the first look where whoever found it had looked twice already.

Every worker and every web process calls `look`; a single row decides which of them evaluates, so
one process that is frozen or gone never keeps the others from saying so.
"""

from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import Q

from portal import audit
from portal.health import registry
from portal.health.registry import Reading, State
from portal.models.health import HealthWatch, Incident

EVERY = timedelta(seconds=10)
BAD = (State.WARNING, State.FAILING)


def look(now: datetime) -> bool:
    """Evaluate the checks if it is time and nobody else did; whether this process did."""
    if not _claim(now):
        return False
    _note_restart(now)
    settle(registry.run(now), now=now)
    return True


def look_soon() -> None:
    """Have the checks evaluated at the next beat of any process, within five seconds."""
    HealthWatch.objects.update(evaluated_at=None)


def settle(readings: list[Reading], *, now: datetime) -> None:
    """Open, announce and close incidents so that they say what `readings` say."""
    bad = {
        (reading.check.name, reading.result.subject): reading
        for reading in readings
        if reading.result.state in BAD
    }
    open_ones = {
        (row.check_name, row.subject): row for row in Incident.objects.filter(closed_at=None)
    }
    unknown = {reading.check.name for reading in readings if reading.result.state is State.UNKNOWN}
    for key, reading in bad.items():
        if key in open_ones:
            _confirm(open_ones[key], reading, now)
        else:
            _open(reading, now)
    for key, row in open_ones.items():
        if key not in bad and row.check_name not in unknown:
            _close(row, now)


def _claim(now: datetime) -> bool:
    HealthWatch.objects.get_or_create(single=True)
    due = Q(evaluated_at=None) | Q(evaluated_at__lte=now - EVERY) | Q(evaluated_at__gt=now + EVERY)
    return bool(HealthWatch.objects.filter(due).update(evaluated_at=now))


def _open(reading: Reading, now: datetime) -> None:
    result = reading.result
    fields = {"state": result.state, "sentence": result.sentence, "scope": result.scope}
    row, _ = Incident.objects.get_or_create(
        check_name=reading.check.name,
        subject=result.subject,
        closed_at=None,
        defaults=fields | {"opened_at": now},
    )
    if result.confirmed:
        _confirm(row, reading, now)


def _confirm(row: Incident, reading: Reading, now: datetime) -> None:
    """Announce an incident at the second look, and again when it gets worse."""
    result = reading.result
    worse = row.state != State.FAILING and result.state is State.FAILING
    with transaction.atomic():
        changed = Incident.objects.filter(pk=row.pk, closed_at=None, announced_at=row.announced_at)
        if not changed.update(
            state=result.state, sentence=result.sentence, announced_at=row.announced_at or now
        ):
            return
        if row.announced_at is None or worse:
            failing = result.state is State.FAILING
            event = "health.failing" if failing else "health.warning"
            _record(event, row, result.sentence, now)


def _close(row: Incident, now: datetime) -> None:
    with transaction.atomic():
        if not Incident.objects.filter(pk=row.pk, closed_at=None).update(closed_at=now):
            return
        if row.announced_at is not None:
            lasted = (now - row.opened_at).total_seconds()
            sentence = f"Resolved after {registry.span(lasted)}: {row.sentence}"
            _record("health.recovered", row, sentence, now)


def _record(action: str, row: Incident, sentence: str, now: datetime) -> None:
    outcome = "done" if action == "health.recovered" else "found"
    data = {"check": row.check_name, "subject": row.subject}
    audit.record(
        action, actor=None, outcome=outcome, sentence=sentence, scope=row.scope, data=data, now=now
    )


def _note_restart(now: datetime) -> None:
    """Record a restart of PostgreSQL: open and closed at once, for it answers again."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_postmaster_start_time()")
        started = cursor.fetchone()[0]
    known = HealthWatch.objects.get(single=True).server_started_at
    if known == started:
        return
    with transaction.atomic():
        ours = HealthWatch.objects.filter(server_started_at=known)
        if not ours.update(server_started_at=started) or known is None:
            return
        message = (
            f"PostgreSQL was restarted at {started:%H:%M:%S} UTC; jobs continued where they were."
        )
        values = {"check_name": "restarts", "state": State.WARNING, "sentence": message}
        row = Incident.objects.create(**values, opened_at=started, announced_at=now, closed_at=now)
        _record("health.restarted", row, message, now)
