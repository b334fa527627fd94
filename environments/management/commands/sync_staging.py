"""Brings staging level with main by a fast-forward.

Exit codes: 0 equal (now), 3 promote first, 4 diverged.
"""

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from environments.branches import actions, fast_forward
from environments.models import Project, Repair
from portal.jobs import running
from portal.ui.actions import Refused

CODES = {
    fast_forward.EQUAL: 0,
    fast_forward.MOVED: 0,
    fast_forward.NOT_READY: 3,
    fast_forward.DIVERGED: 4,
}


class Command(BaseCommand):
    """Uses the job of the environments page's button, run here unless a worker was quicker."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--project", default="", help="the project's short name; not needed where there is one"
        )

    def handle(self, *args: object, **options: Any) -> None:
        project = one_project(options["project"])
        try:
            repair = actions.sync_staging(project, actor=None)
        except Refused as refusal:
            raise CommandError(str(refusal)) from None
        repair = finished(repair)
        code = CODES.get(repair.result, 1)
        if not code:
            self.stdout.write(repair.sentence)
            return
        if code == CODES[fast_forward.DIVERGED]:
            main, target = project.production_branch, project.staging_branch
            repair.sentence += (
                f" Open a back-merge from {main} into {target} on the environments page."
            )
        raise CommandError(repair.sentence, returncode=code)


def one_project(slug: str) -> Project:
    """Return the project with this short name, or the only one."""
    projects = list(Project.objects.filter(slug=slug) if slug else Project.objects.all())
    if len(projects) == 1:
        return projects[0]
    known = ", ".join(Project.objects.values_list("slug", flat=True)) or "none"
    raise CommandError(f"Name one project with --project; there are: {known}.")


def finished(repair: Repair) -> Repair:
    """Return the repair when it has ended; its own patience bounds the wait."""
    while repair.is_open:
        running.wake(Repair._meta.label, repair.pk)
        repair.refresh_from_db()
        if repair.is_open:
            time.sleep(0.2)
    return repair
