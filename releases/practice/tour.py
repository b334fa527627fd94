"""The guided tour of the sandbox: what to do next, derived from what has been done."""

from dataclasses import dataclass

from django.urls import reverse

from environments.models import EnvironmentKind, MigrationRun
from portal.jobs import JobStatus
from releases.models.checklist import Phase
from releases.models.releases import Release, ReleaseStatus

SHIPPED = (ReleaseStatus.DONE, ReleaseStatus.ROLLED_BACK)

CREATE, MIGRATE, CHECK = "Create a release", "Migrate staging", "Work through the checklist"
APPROVE, PROMOTE, CONFIRM = "Approve", "Promote", "Confirm production"
# Who does it, what, how, and where on the release's page.
TOUR = (
    ("alice", CREATE, "On the board, staging is ahead of production. Press Create release.", ""),
    (
        "alice",
        MIGRATE,
        "The release brings new migrations. Open its Migrations and migrate staging first;"
        " watch the log.",
        "#migrations",
    ),
    (
        "alice",
        CHECK,
        "Wait until staging has soaked for a minute, look at the key pages, and tick each item.",
        "#checklist",
    ),
    (
        "bob",
        APPROVE,
        "Sign in as bob in another browser window. A second person approves the exact commit"
        " and its migrations.",
        "#approvals",
    ),
    (
        "alice",
        PROMOTE,
        "Press Promote, read what will happen, and confirm. The page shows each step.",
        "",
    ),
    (
        "alice",
        CONFIRM,
        "Look at the key pages in production and tick the items after promotion. The release"
        " is done.",
        "",
    ),
)


@dataclass(frozen=True)
class Step:
    """One step: who does it, what, where (an address), and whether it is done."""

    who: str
    title: str
    sentence: str
    address: str
    done: bool


def steps() -> list[Step]:
    """Return the tour's steps for the newest release; a step before a done one is done."""
    release = Release.objects.order_by("-pk").first()
    board = reverse("releases:board")
    page = reverse("releases:release", args=[release.pk]) if release else board
    done = _done(release)
    last = max((number for number, step in enumerate(TOUR) if done[step[1]]), default=-1)
    return [
        Step(who, title, sentence, board if number == 0 else f"{page}{anchor}", number <= last)
        for number, (who, title, sentence, anchor) in enumerate(TOUR)
    ]


def _done(release: Release | None) -> dict[str, bool]:
    """Return whether each step of the tour, by its title, is done for `release`."""
    status = release.status if release else None
    return {
        CREATE: release is not None,
        MIGRATE: _staging_migrated(release),
        CHECK: _ticked(release),
        APPROVE: release is not None and release.approvals.filter(lapsed_at=None).exists(),
        PROMOTE: status in (ReleaseStatus.PROMOTING, ReleaseStatus.VERIFYING, *SHIPPED),
        CONFIRM: status in SHIPPED,
    }


def _staging_migrated(release: Release | None) -> bool:
    if release is None:
        return False
    return MigrationRun.objects.filter(
        environment__project=release.project,
        environment__kind=EnvironmentKind.STAGING,
        commit=release.candidate,
        status=JobStatus.SUCCEEDED,
    ).exists()


def _ticked(release: Release | None) -> bool:
    items = list(release.items.filter(phase=Phase.BEFORE, gate="")) if release else []
    return bool(items) and all(item.is_ticked for item in items)
