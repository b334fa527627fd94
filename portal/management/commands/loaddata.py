"""`manage.py loaddata`, with its event."""

from django.core.management.commands import loaddata

from portal.accounts.recorded_commands import RecordedCommand


class Command(RecordedCommand, loaddata.Command):
    """As it comes, but what it does is part of the trail."""
