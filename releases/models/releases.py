"""Releases, with the signatures, freezes and notes that belong to them."""

from datetime import datetime
from typing import ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from environments.models import Project
from portal.models.sign_in_policy import Policy
from releases.models.pull_requests import PullRequest


class ReleaseKind(models.TextChoices):
    """How a release comes to production: out of staging, or straight from a pull request into
    main.
    """

    NORMAL = "normal", "release"
    HOTFIX = "hotfix", "hotfix"


class ReleaseStatus(models.TextChoices):
    """Where a release stands. `verifying`: production runs it, items after promotion remain."""

    OPEN = "open", "preparing"
    PROMOTING = "promoting", "promoting"
    VERIFYING = "verifying", "verifying in production"
    DONE = "done", "done"
    ABANDONED = "abandoned", "abandoned"
    ROLLED_BACK = "rolled_back", "rolled back"


class IllegalMove(Exception):
    """The status was not what the move needs: somebody else was quicker, or the move is not
    allowed.
    """


IN_PREPARATION = (ReleaseStatus.OPEN, ReleaseStatus.PROMOTING)
ACTIVE = (*IN_PREPARATION, ReleaseStatus.VERIFYING)


class ReleaseQuerySet(models.QuerySet["Release"]):
    """Releases by status."""

    def locked(self, pk: int) -> "Release":
        """Return the release `pk` with its project, under a row lock of its own."""
        return self.select_for_update(of=("self",)).select_related("project").get(pk=pk)

    def in_preparation(self) -> Self:
        """Return those that are not in production yet and not given up."""
        return self.filter(status__in=IN_PREPARATION)

    def active(self) -> Self:
        """Return those that somebody still has something to do about."""
        return self.filter(status__in=ACTIVE)

    def merged(self) -> Self:
        """Return those that reached production's branch, the one that was promoted last first."""
        releases = self.exclude(merge_commit="").exclude(status=ReleaseStatus.PROMOTING)
        return releases.order_by(F("promotions__created_at").desc(nulls_last=True), "-cut_at")

    def newest_merged(self) -> Self:
        """Return of each project the release that was promoted last, also if it was rolled back."""
        same = Release.objects.filter(pk=models.OuterRef("pk"))
        newest = same.order_by("-promotions__created_at").values("promotions__created_at")[:1]
        merged = self.exclude(merge_commit="").exclude(status=ReleaseStatus.PROMOTING)
        dated = merged.annotate(promoted_at=models.Subquery(newest))
        last = F("promoted_at").desc(nulls_last=True)
        return dated.order_by("project_id", last, "-cut_at").distinct("project_id")


class Release(models.Model):
    """A frozen set of commits to ship, with its candidate commit."""

    MOVES: ClassVar[dict[str, tuple[str, ...]]] = {
        ReleaseStatus.OPEN: (ReleaseStatus.PROMOTING, ReleaseStatus.ABANDONED),
        ReleaseStatus.PROMOTING: (
            ReleaseStatus.OPEN,
            ReleaseStatus.VERIFYING,
            ReleaseStatus.ABANDONED,
            ReleaseStatus.ROLLED_BACK,
        ),
        ReleaseStatus.VERIFYING: (ReleaseStatus.DONE, ReleaseStatus.ROLLED_BACK),
        ReleaseStatus.DONE: (ReleaseStatus.ROLLED_BACK,),
        ReleaseStatus.ABANDONED: (ReleaseStatus.ROLLED_BACK,),
        ReleaseStatus.ROLLED_BACK: (),
    }

    project = models.ForeignKey(Project, models.PROTECT, related_name="releases")
    kind = models.CharField(max_length=10, choices=ReleaseKind, default=ReleaseKind.NORMAL)
    name = models.CharField(max_length=40)
    status = models.CharField(max_length=12, choices=ReleaseStatus, default=ReleaseStatus.OPEN)
    candidate = models.CharField(max_length=64)
    base = models.CharField(
        max_length=64, help_text="Head of production's branch when the candidate was pinned."
    )
    pull_number = models.PositiveIntegerField(
        null=True, blank=True, help_text="Number of the promotion pull request."
    )
    collected_at = models.DateTimeField(
        null=True, blank=True, help_text="When the candidate was last read from git."
    )
    commits = models.JSONField(
        default=list, help_text="Commits, newest first: sha, title, author, at."
    )
    commit_count = models.PositiveIntegerField(default=0)
    pull_requests = models.ManyToManyField(PullRequest, blank=True, related_name="releases")
    migrations = models.JSONField(
        default=list, help_text="New revisions in order: id, path, sha256, message, database."
    )
    heads = models.JSONField(
        default=list, help_text="Alembic heads at the candidate, of every database."
    )
    heads_of = models.JSONField(
        default=dict, blank=True, help_text="Database → Alembic heads at the candidate."
    )
    migrations_problem = models.TextField(
        blank=True,
        default="",
        help_text="Why the migrations could not be read, or what is wrong with them.",
    )
    uncovered = models.JSONField(
        default=list, blank=True, help_text="New revision files outside the Alembic directories."
    )
    edits = models.JSONField(
        default=list,
        blank=True,
        help_text="Shipped revision files that were changed: revision, path, sha256, kind.",
    )
    notes = models.TextField(blank=True, default="")
    merge_commit = models.CharField(max_length=64, blank=True, default="")
    behind = models.PositiveIntegerField(
        null=True, blank=True, help_text="Commits of production's branch that the candidate lacks."
    )
    moved = models.JSONField(
        default=dict, blank=True, help_text="What the candidate gained when it last moved."
    )
    cut_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+"
    )
    cut_at = models.DateTimeField(default=timezone.now)
    candidate_at = models.DateTimeField(default=timezone.now)
    collected = models.CharField(
        max_length=64,
        blank=True,
        default="",
        help_text="The candidate whose commits and migrations are stored.",
    )
    back_merge = models.JSONField(
        default=dict,
        blank=True,
        help_text=(
            "For a hotfix: the pull request into staging, and whether staging contains the hotfix."
        ),
    )
    carried = models.JSONField(
        default=dict,
        blank=True,
        help_text="Rolled-back releases that it would ship again (`gates.carried`).",
    )
    carry_confirmed = models.JSONField(
        default=dict, blank=True, help_text="Who confirmed that rolled-back releases ship again."
    )
    record = models.JSONField(
        default=dict,
        blank=True,
        help_text="The checklist as it was when the release ended (`gates.record`).",
    )
    ended_at = models.DateTimeField(null=True, blank=True)

    objects = ReleaseQuerySet.as_manager()

    class Meta:
        ordering = ["-cut_at"]
        permissions = [
            ("cut_release", "Can cut a release"),
            ("tick_checklistitem", "Can tick checklist items"),
            ("promote_release", "Can promote a release"),
            ("approve_release", "Can approve a release"),
            ("abandon_release", "Can abandon a release"),
            ("repair_release", "Can retry, skip or abandon a failed step"),
            ("freeze_project", "Can freeze and unfreeze promotions"),
            ("roll_back_release", "Can ask for a rollback or a downgrade"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["project", "name"], name="release_name_once"),
            models.UniqueConstraint(
                fields=["project", "kind"],
                condition=Q(status__in=IN_PREPARATION),
                name="release_one_of_a_kind_in_preparation",
            ),
            # One commit carries one verdict: two releases would tell GitHub different things about
            # it.
            models.UniqueConstraint(
                fields=["project", "candidate"],
                condition=Q(status__in=IN_PREPARATION),
                name="release_one_verdict_for_a_commit",
            ),
            models.CheckConstraint(
                condition=~Q(kind=ReleaseKind.HOTFIX) | Q(pull_number__isnull=False),
                name="hotfix_has_a_pull_request",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def sign_in_policy(self) -> Policy:
        return self.project.sign_in_policy

    @property
    def is_hotfix(self) -> bool:
        return self.kind == ReleaseKind.HOTFIX

    @property
    def is_in_preparation(self) -> bool:
        return self.status in IN_PREPARATION

    def move_to(self, status: str, *, now: datetime) -> None:
        """Change the status along `MOVES`, only if the row still has the one this object saw.

        Raise `IllegalMove`. The caller records the audit event in the same transaction.
        """
        if status not in self.MOVES[self.status]:
            raise IllegalMove(
                f"A release that is {self.get_status_display()} cannot become {status}."
            )
        final = (ReleaseStatus.DONE, ReleaseStatus.ABANDONED, ReleaseStatus.ROLLED_BACK)
        ended = now if status in final else None
        if not Release.objects.filter(pk=self.pk, status=self.status).update(
            status=status, ended_at=ended
        ):
            raise IllegalMove("The release changed in the meantime; look again.")
        self.status, self.ended_at = status, ended
