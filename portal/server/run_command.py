"""The command line of `manage.py run`."""

import os
import signal
import sys
from argparse import ArgumentParser

from portal.modes import WrongMode
from portal.server.children import die_with_parent
from portal.server.ports import refuse_taken_port
from portal.server.postgres_wheel import StartError
from portal.server.supervisor import Supervisor

HELP = (
    "Starts the portal with all it needs: database, stand-ins when nothing is configured, worker,"
    " web server."
)
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def main(arguments: list[str]) -> None:
    """Run until a signal; leave with 0 then, with 1 and a sentence when something cannot start."""
    parser = ArgumentParser(prog="manage.py run", description=HELP)
    add_arguments(parser)
    options = parser.parse_args(arguments)
    if options.with_parent:
        die_with_parent(os.getppid(), signal.SIGTERM)
    for number in STOP_SIGNALS:
        signal.signal(number, lambda *_: sys.exit(0))
    try:
        supervisor = Supervisor(options.host, options.port, options.shape)
    except WrongMode as error:
        sys.exit(str(error))
    try:
        refuse_taken_port(options.host, options.port)
        supervisor.start()
        supervisor.watch()
    except (StartError, WrongMode) as error:
        sys.exit(str(error))
    finally:
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        supervisor.stop()


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of `manage.py run`."""
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to serve on (127.0.0.1)")
    add("--port", type=int, default=8000, help="port to serve on (8000)")
    add("--shape", action="append", default=[], help="what the sandbox's project looks like")
    parent = "stop when the process that started this one ends"
    add("--with-parent", action="store_true", help=parent)
