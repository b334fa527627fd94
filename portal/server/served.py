"""What the web server loads: the WSGI application, and the health watch as a thread beside it."""

from portal.health.watch import start_beside_web  # isort: skip - needs the apps, which the line above loads
from portal.wsgi import application

start_beside_web()

__all__ = ["application"]
