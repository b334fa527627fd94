"""Makes the sandbox's people and project; run by `make run` and the demo when the stand-ins are
up.
"""

import json
import os
import secrets
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from environments.models import Project
from portal.accounts import roles
from portal.audit import row_changes
from portal.models.installation import Installation
from portal.modes import WrongMode, settle
from releases.project_settings import connect

# Who is who in the sandbox: user name, full name, role.
PEOPLE = (
    ("alice", "Alice", "Release managers"),
    ("bob", "Bob", "Approvers"),
    ("carol", "Carol", "Auditors"),
    ("dave", "Dave", "Administrators"),
)


class Command(BaseCommand):
    """Idempotent: a second call changes nothing that people have changed since."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--ready", required=True, help="the line that `manage.py sandbox` printed"
        )
        parser.add_argument("--soak-minutes", type=int, default=1)
        parser.add_argument(
            "--no-webhooks", action="store_true", help="for a portal without a web server"
        )

    def handle(self, *args: object, **options: Any) -> None:
        ready = json.loads(options["ready"])
        _refuse_a_real_database(ready["repository"])
        roles.ensure()
        password = sandbox_password()
        for username, name, role in PEOPLE:
            _person(username, name, role, password)
        # What the sandbox serves wins over the settings that a shape sees for itself.
        wanted: dict[str, Any] = {
            "staging_branch": ready["staging"],
            "production_branch": ready["production"],
            "previews": True,
            **ready.get("settings", {}),
            "alembic": ready["alembic"],
        }
        project = connect.connect(
            name=ready["repository"].split("/")[1],
            repository=ready["repository"],
            railway_project_id=ready["project"],
            soak_minutes=options["soak_minutes"],
            **wanted,
            smoke=[
                ("backend", "/health"),
                ("backend", "/version"),
                ("frontend", "/"),
                ("frontend", "/health"),
            ],
            pages=[(name, path) for name, path in ready.get("pages", ())],
        )
        # The sandbox's databases move to another port with the server: that is no edit of a
        # variable by somebody.
        project.environments.update(variables_known={})
        for webhook in [] if options["no_webhooks"] else connect.connect_webhooks(project):
            if not webhook.ok:
                self.stderr.write(webhook.sentence)
        names = ", ".join(f"{username} ({role.lower()})" for username, _, role in PEOPLE)
        self.stdout.write(f"Sign in as {names}; the password of each is {password}")


def _refuse_a_real_database(repository: str) -> None:
    """Raise `CommandError` unless the sandbox was asked for, in a database of nothing else."""
    if not settings.SANDBOX:
        raise CommandError(
            "People with a known password are made in the sandbox only, and SANDBOX is not set."
        )
    projects = Project.objects.exclude(repository=repository)
    people = get_user_model().objects.exclude(username__in=[username for username, *_ in PEOPLE])
    if not Installation.objects.exists() and (projects.exists() or people.exists()):
        raise CommandError(
            "This database holds projects or people that are not the sandbox's: name another one."
        )
    try:
        settle(sandbox=True)
    except WrongMode as error:
        raise CommandError(str(error)) from None


def sandbox_password() -> str:
    """Return the sandbox's password, made once and kept with mode 0600 beside the data."""
    path = Path(settings.VAR_DIR) / "sandbox_password"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            words = "-".join(secrets.choice(WORDS) for _ in range(2))
            file.write(f"{words}-{secrets.randbelow(9000) + 1000}")
    return path.read_text().strip()


WORDS = (
    *("amber", "birch", "cedar", "delta", "ember", "fjord"),
    *("grove", "heron", "islet", "juniper", "kestrel", "lagoon"),
)


@transaction.atomic
def _person(username: str, name: str, role: str, password: str) -> None:
    user, created = get_user_model().objects.get_or_create(
        username=username,
        defaults={"first_name": name, "is_staff": True, "is_superuser": role == "Administrators"},
    )
    if created:
        user.set_password(password)
        user.save()
        user.groups.add(Group.objects.get(name=role))
        row_changes.record(user, {}, row_changes.stored(user), actor=None, by="for the sandbox")
