"""One id for all that a request or delivery causes: its log lines, jobs and outward calls."""

import logging
import re
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.http import HttpRequest, HttpResponse

type View = Callable[[HttpRequest], HttpResponse]

log = logging.getLogger(__name__)
HEADER = "X-Request-ID"
_FIT = re.compile(r"[A-Za-z0-9._-]{8,64}")
_trace: ContextVar[str] = ContextVar("trace", default="")
_job: ContextVar[str] = ContextVar("job", default="")


def current() -> str:
    """Return the id of what runs now; "" outside of requests and jobs."""
    return _trace.get()


def current_job() -> str:
    """Return the label and key of the job that runs now, or ""."""
    return _job.get()


@contextmanager
def within(trace: str, job: str = "") -> Iterator[None]:
    """Let everything inside be of `trace` (empty or unfit: a fresh id) and of `job`."""
    tokens = _trace.set(trace if _FIT.fullmatch(trace) else uuid.uuid4().hex), _job.set(job)
    try:
        yield
    finally:
        _trace.reset(tokens[0])
        _job.reset(tokens[1])


def traced(get_response: View) -> View:
    """Middleware: each request has an id, its own or GitHub's, and its answer names it."""

    def handle(request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-GitHub-Delivery") or request.headers.get(HEADER, "")
        with within(given):
            started = time.perf_counter()
            response = get_response(request)
            response.headers[HEADER] = current()
            took = (time.perf_counter() - started) * 1000
            what = (request.method, request.path, response.status_code, took)
            log.info("%s %s %s in %.0f ms", *what)
            return response

    return handle
