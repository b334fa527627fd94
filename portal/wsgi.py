"""The WSGI entry point that `portal.web` serves."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
application = get_wsgi_application()

from portal.health.watch import start_beside_web  # noqa: E402 - needs the apps

start_beside_web()
