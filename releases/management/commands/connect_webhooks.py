"""Registers the portal's webhooks at GitHub and Railway, for every project or the ones named;
repeating is harmless.
"""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from environments.models import Project
from releases.project_settings import connect


class Command(BaseCommand):
    """Ends with an error when some webhooks will not come."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("slug", nargs="*", help="projects; without any, all of them")
        parser.add_argument(
            "--renew",
            action="store_true",
            help="send the present secrets to GitHub and Railway again",
        )

    def handle(self, *args: object, **options: Any) -> None:
        projects = Project.objects.all()
        if options["slug"]:
            projects = projects.filter(slug__in=options["slug"])
        if unknown := set(options["slug"]) - {project.slug for project in projects}:
            raise CommandError(f"There is no project {', '.join(sorted(unknown))}.")
        failed = 0
        for project in projects:
            for webhook in connect.connect_webhooks(project, renew=options["renew"]):
                failed += not webhook.ok
                (self.stdout if webhook.ok else self.stderr).write(f"{project}: {webhook.sentence}")
        if failed:
            raise CommandError("Not all webhooks are connected; see above.")
