"""`manage.py changepassword`, with its event."""

from django.contrib.auth.management.commands import changepassword

from portal.accounts.recorded_commands import AuditedCommand


class Command(AuditedCommand, changepassword.Command):
    """As it comes, but what it does is part of the trail."""
