"""The guided tour of the sandbox: what to do next, worked out from what has been done."""

from dataclasses import dataclass

from django.urls import reverse

from environments.models import EnvironmentKind, MigrationRun
from portal.jobs import JobStatus
from releases.models.checklist import Phase
from releases.models.releases import Release, ReleaseStatus

SHIPPED = (ReleaseStatus.DONE, ReleaseStatus.ROLLED_BACK)


@dataclass(frozen=True)
class Step:
    """One step: who does it, what, where (an address), and whether it is done."""

    who: str
    title: str
    sentence: str
    address: str
    done: bool


def steps() -> list[Step]:
    """The tour's steps in order, for the newest release; a step before a done one is done."""
    release = Release.objects.order_by("-pk").first()
    board = reverse("releases:board")
    page = reverse("releases:release", args=[release.pk]) if release else board
    status = release.status if release else None
    promoted = status in (ReleaseStatus.PROMOTING, ReleaseStatus.VERIFYING, *SHIPPED)
    told = [
        (
            "alice",
            "Create a release",
            "On the board, staging is ahead of production. Press Create release.",
            board,
            release is not None,
        ),
        (
            "alice",
            "Migrate staging",
            "The release brings new migrations. Open its Migrations and migrate staging first;"
            " watch the log.",
            f"{page}#migrations",
            _staging_migrated(release),
        ),
        (
            "alice",
            "Work through the checklist",
            "Wait until staging has soaked for a minute, look at the key pages, and tick each"
            " item.",
            f"{page}#checklist",
            _ticked(release),
        ),
        (
            "bob",
            "Approve",
            "Sign in as bob in another browser window. A second person approves the exact commit"
            " and its migrations.",
            f"{page}#approvals",
            release is not None and release.approvals.filter(lapsed_at=None).exists(),
        ),
        (
            "alice",
            "Promote",
            "Press Promote, read what will happen, and confirm. The page shows each step.",
            page,
            promoted,
        ),
        (
            "alice",
            "Confirm production",
            "Look at the key pages in production and tick the items after promotion. The release"
            " is done.",
            page,
            status in SHIPPED,
        ),
    ]
    last = max((number for number, step in enumerate(told) if step[-1]), default=-1)
    return [Step(*step[:-1], done=number <= last) for number, step in enumerate(told)]


def _staging_migrated(release: Release | None) -> bool:
    return (
        release is not None
        and MigrationRun.objects.filter(
            environment__project=release.project,
            environment__kind=EnvironmentKind.STAGING,
            commit=release.candidate,
            status=JobStatus.SUCCEEDED,
        ).exists()
    )


def _ticked(release: Release | None) -> bool:
    items = release.items.filter(phase=Phase.BEFORE, gate="") if release else None
    return (
        items is not None
        and items.exists()
        and not items.filter(ticked_at=None).exists()
        and not items.exclude(lapsed_at=None).exists()
    )
