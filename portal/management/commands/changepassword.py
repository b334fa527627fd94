"""`manage.py changepassword`, with its event."""

from django.contrib.auth.management.commands import changepassword

from portal.accounts.recorded_commands import AuditedCommand


class Command(AuditedCommand, changepassword.Command): ...
