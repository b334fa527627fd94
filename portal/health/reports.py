"""What each process reports about itself: that it lives, its free disk, and its clock's error."""

import os
import shutil
import time
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection
from django.db.models import QuerySet

from portal.jobs import host_name
from portal.models.health import FRESH, ProcessReport
from portal.version import VERSION

REPORT_SECONDS = 5.0
FORGOTTEN = timedelta(minutes=10)  # how long a killed process is reported


def database_clock() -> tuple[datetime, float]:
    """Return the database's time, and by how many seconds this host's clock is ahead of it."""
    before = time.time()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        at: datetime = cursor.fetchone()[0]
    return at, (before + time.time()) / 2 - at.timestamp()


def report(role: str) -> None:
    """Write this process's row. Forget processes that have been silent for ten minutes."""
    at, skew = database_clock()
    disk = shutil.disk_usage(settings.VAR_DIR if settings.VAR_DIR.exists() else settings.BASE_DIR)
    seen = {"at": at, "disk_free": disk.free, "disk_total": disk.total, "clock_skew": skew}
    ProcessReport.objects.update_or_create(
        role=role,
        host=host_name(),
        pid=os.getpid(),
        defaults=seen,
        create_defaults=seen | {"version": VERSION, "started_at": at},
    )
    ProcessReport.objects.filter(at__lt=at - FORGOTTEN).delete()


def sign_off(role: str) -> None:
    """Delete this process's row: it ends in order, so that nobody misses it."""
    ProcessReport.objects.filter(role=role, host=host_name(), pid=os.getpid()).delete()


def reporting() -> QuerySet[ProcessReport]:
    """Return the processes that reported lately, by the database's clock."""
    return ProcessReport.objects.filter(at__gt=database_clock()[0] - FRESH)


def worker_lives() -> bool:
    """Return whether some worker reported lately."""
    return reporting().filter(role=ProcessReport.Role.WORKER).exists()
