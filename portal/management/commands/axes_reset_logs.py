"""`manage.py axes_reset_logs`, with its event."""

from axes.management.commands import axes_reset_logs

from portal.accounts.recorded_commands import AuditedCommand


class Command(AuditedCommand, axes_reset_logs.Command): ...
