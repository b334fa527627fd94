"""`manage.py remove_stale_contenttypes`, with its event."""

from django.contrib.contenttypes.management.commands import remove_stale_contenttypes

from portal.accounts.recorded_commands import AuditedCommand


class Command(AuditedCommand, remove_stale_contenttypes.Command): ...
