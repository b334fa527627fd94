"""How gunicorn serves the portal: `gunicorn -c python:portal.gunicorn portal.wsgi` (settings: docs.gunicorn.org).

One process with threads: the portal waits for its database and for other people's APIs, not for the processor.
"""

import os

from portal.processes import forks_die_with_us

forks_die_with_us()

bind = os.environ.get("BIND") or f"0.0.0.0:{os.environ.get('PORT', '8000')}"  # PORT: what Railway tells us
worker_class = "gthread"
workers = 1
threads = 8
timeout = 60
graceful_timeout = 5
control_socket_disable = True
