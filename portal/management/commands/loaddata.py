"""`manage.py loaddata`, with its event."""

from django.core.management.commands import loaddata

from portal.accounts.recorded_commands import AuditedCommand


class Command(AuditedCommand, loaddata.Command): ...
