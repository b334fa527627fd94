"""`manage.py axes_reset_ip_username`, with its event."""

from axes.management.commands import axes_reset_ip_username

from portal.accounts.recorded_commands import AuditedCommand


class Command(AuditedCommand, axes_reset_ip_username.Command): ...
