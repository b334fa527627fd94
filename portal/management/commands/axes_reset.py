"""`manage.py axes_reset`, with its event."""

from axes.management.commands import axes_reset

from portal.accounts.recorded_commands import AuditedCommand


class Command(AuditedCommand, axes_reset.Command): ...
