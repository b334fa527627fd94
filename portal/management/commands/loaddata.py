"""`manage.py loaddata`, with its event."""

from django.core.management.commands import loaddata

from portal.accounts.recorded_commands import AuditedCommand


class Command(AuditedCommand, loaddata.Command):
    """As it comes, but what it does is part of the trail."""
