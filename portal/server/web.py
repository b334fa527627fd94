"""How the portal is served: under granian, by one process with threads: it waits for its database
and for other people's APIs, not for the processor.
"""

import multiprocessing

from django.conf import settings
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels
from granian.server import Server

from portal.server.children import forks_die_with_us

THREADS = 8


def serve(host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT; what is being answered then has five seconds to end."""
    settings.STATIC_ROOT.mkdir(parents=True, exist_ok=True)  # else whitenoise warns
    forks_die_with_us()
    # The server shares what is loaded, and dies with us.
    multiprocessing.set_start_method("fork", force=True)
    Server(
        "portal.server.served:application",
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        http=HTTPModes.http1,
        blocking_threads=THREADS,
        blocking_threads_idle_timeout=600,  # a thread keeps its connection to the database as long
        log_level=LogLevels.error,
        log_dictconfig=settings.LOGGING,
        workers_kill_timeout=5,
    ).serve()
