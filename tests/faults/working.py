"""A process that forks workers: Django is loaded once, so that a worker is at work a moment after
its start.

Reads `start` lines from its input, answers each with the new worker's process id. A worker does
what the queue does, without the queue: it wakes every job whose time has come. Its parent process
kills it.
"""

import os
import signal
import sys
import time


def serve() -> None:
    import django

    django.setup()
    import logging

    if not os.environ.get("SHOW_ERRORS"):
        logging.disable(logging.CRITICAL)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the killed are not waited for
    for _ in sys.stdin:
        pid = os.fork()
        if pid == 0:
            os.close(0)
            signal.signal(
                signal.SIGCHLD, signal.SIG_DFL
            )  # else no child of the worker has an exit status
            _work()
        print(pid, flush=True)


def _work() -> None:
    from django.conf import settings
    from django.db import Error, close_old_connections, connection, connections
    from django.utils import timezone

    from portal import jobs
    from portal.jobs import running

    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    connection.settings_dict["OPTIONS"]["application_name"] = "killed-worker"
    settings.VAR_DIR.mkdir(parents=True, exist_ok=True)
    note = os.open(settings.VAR_DIR / f"worker-{os.getpid()}", os.O_WRONLY | os.O_CREAT)
    while True:
        try:
            for model in jobs.job_models():
                due = model.objects.filter(status__in=jobs.OPEN, wake_at__lte=timezone.now())
                for pk in due.values_list("pk", flat=True):
                    os.pwrite(note, f"{model.__name__} {pk}".ljust(40).encode(), 0)
                    running.wake(model._meta.label, pk)
                    os.pwrite(note, b"-".ljust(40), 0)
        except (
            Error
        ):  # the connection was cut: what was at work is taken up again when its lease ends
            connections.close_all()
        close_old_connections()
        time.sleep(0.02)


if __name__ == "__main__":
    serve()
