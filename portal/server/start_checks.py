"""What a process of the portal looks at before it starts: its database, role and mode."""

import stamina
from django.conf import settings
from django.core.management.base import CommandError
from django.db import OperationalError, connection

from portal.database_role import refusal
from portal.modes import WrongMode, settle
from portal.secrets import hold_stored

DATABASE_PATIENCE = 30.0  # seconds: both may have been started at the same moment


def settle_or_leave() -> None:
    """Wait for a database that is starting; end the command where it is a sandbox's and this is
    none, or where the role may more than the portal needs.
    """
    try:
        patiently = stamina.RetryingCaller(attempts=None, timeout=DATABASE_PATIENCE, wait_max=1.0)
        patiently(OperationalError, connection.ensure_connection)
    except OperationalError as error:
        what = " ".join(str(error).split())
        raise CommandError(
            f"The database did not answer for {DATABASE_PATIENCE:g} s: {what}"
        ) from None
    if message := refusal(connection.connection):
        raise CommandError(message)
    try:
        settle(sandbox=settings.SANDBOX)
    except WrongMode as error:
        raise CommandError(str(error)) from None
    hold_stored()
