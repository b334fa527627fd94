"""Commands of Django and of libraries that write: each in one transaction with its events."""

from typing import Any

from django.contrib.auth.models import Group, User
from django.core.management.base import BaseCommand
from django.db import transaction
from django.db.models import Model

from portal import audit
from portal.audit import row_changes

Accounts = dict[tuple[type[Model], object], tuple[Model, row_changes.Stored]]


class AuditedCommand(BaseCommand):
    """Put before the command's own class: no event, no change; accounts are told by field."""

    def handle(self, *args: object, **options: object) -> Any:
        name = type(self).__module__.rpartition(".")[2]
        with transaction.atomic():
            before = accounts()
            answer = super().handle(*args, **options)
            if not record_accounts(before, accounts(), by=row_changes.at_the_shell(name)):
                message = f"Something was asked {row_changes.at_the_shell(name)}."
                data = {"arguments": [*map(str, args)]}
                audit.record(f"command.{name}", actor=None, sentence=message, data=data)
        return answer


def accounts() -> Accounts:
    """Return every person and role with all that is stored of them."""
    models: tuple[type[Model], ...] = (User, Group)
    rows = [row for model in models for row in model._base_manager.order_by("pk")]
    return {(type(row), row.pk): (row, row_changes.stored(row)) for row in rows}


def record_accounts(before: Accounts, after: Accounts, *, by: str) -> int:
    """Write one event for each person or role that differs; return how many do."""
    count = 0
    for key, (row, held) in {**before, **after}.items():
        was = before[key][1] if key in before else {}
        count += row_changes.record(row, was, held if key in after else {}, actor=None, by=by)
    return count
