"""`manage.py createsuperuser`, with its event."""

from django.contrib.auth.management.commands import createsuperuser

from portal.accounts.recorded_commands import AuditedCommand


class Command(AuditedCommand, createsuperuser.Command): ...
