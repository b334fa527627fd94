"""What is shipped: pull requests and checks as seen on GitHub, releases, their checklists and promotions."""

from datetime import datetime
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from environments.models import Database, Finding, Project
from portal import audit
from portal.access.proof import Policy
from portal.jobs import OPEN, Ended, Job, JobStatus

from .notifications import Channel, Notice, NotificationFeed, Transport
from .rollback import Advice, Downgrade, Rollback, RollbackApproval, RollbackStep, RollbackStepName
from .staging_smoke import StagingSmoke
from .steps import Step, StepStatus

__all__ = [
    "Advice",
    "Approval",
    "Channel",
    "ChecklistItem",
    "ChecklistTemplate",
    "ChecklistTemplateItem",
    "Condition",
    "Downgrade",
    "Freeze",
    "GitHubSync",
    "IllegalMove",
    "ItemText",
    "LineReading",
    "Notice",
    "NotificationFeed",
    "Phase",
    "Promotion",
    "PromotionStep",
    "PullReading",
    "PullRequest",
    "Release",
    "ReleaseKind",
    "ReleaseStatus",
    "RiskAcceptance",
    "Rollback",
    "RollbackApproval",
    "RollbackStep",
    "RollbackStepName",
    "StagingSmoke",
    "StepName",
    "StepStatus",
    "Transport",
    "Upkeep",
]


class PullRequest(models.Model):
    """A pull request as last seen on GitHub."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="pull_requests")
    number = models.PositiveIntegerField()
    title = models.CharField(max_length=300)
    author = models.CharField(max_length=100, blank=True, default="")
    url = models.CharField(max_length=500, blank=True, default="")
    state = models.CharField(max_length=20, default="open", help_text="open, merged or closed")
    draft = models.BooleanField(default=False)
    fork = models.BooleanField(default=False, help_text="Its branch lies in another repository.")
    base = models.CharField(max_length=250)
    head = models.CharField(max_length=250)
    head_sha = models.CharField(max_length=64, blank=True, default="")
    mergeable = models.CharField(max_length=20, blank=True, default="", help_text="GitHub's word, lower case.")
    review_decision = models.CharField(max_length=30, blank=True, default="")
    merge_state = models.CharField(
        max_length=20, blank=True, default="", help_text="GitHub's word for whether it may be merged, lower case."
    )
    blocked_at = models.DateTimeField(
        null=True, blank=True, help_text="Since when GitHub blocks it although the portal's own status is green."
    )
    merging = models.JSONField(
        null=True, blank=True, help_text="Of a release's: conversations open, commits unsigned, who reviewed how."
    )
    checks = models.JSONField(null=True, blank=True, help_text="Null: could not be read.")
    checks_at = models.DateTimeField(null=True, blank=True, help_text="When the checks were read.")
    updated_at = models.DateTimeField(null=True, blank=True)
    seen_at = models.DateTimeField()
    # What git says of it, worked out by `PullReading` for one pair of base and head.
    read_for = models.CharField(max_length=140, blank=True, default="", help_text="base..head; empty: not read yet.")
    migrations = models.JSONField(default=list, blank=True, help_text="Revision files: id, path, what happened.")
    migrations_problem = models.TextField(blank=True, default="", help_text="What would be wrong once it is merged.")
    cut_wrong = models.TextField(blank=True, default="", help_text="Why its branch was not cut from staging.")

    class Meta:
        ordering = ["-number"]
        constraints = [models.UniqueConstraint(fields=["project", "number"], name="pull_request_once")]
        indexes = [models.Index(fields=["project", "state", "base"])]

    def __str__(self) -> str:
        return f"#{self.number} {self.title}"


class GitHubSync(Job):
    """Keeps one project's mirror of GitHub fresh; never ends."""

    step_function = "releases.jobs.sync_github"
    tireless = True

    project = models.OneToOneField(Project, models.CASCADE, related_name="github_sync")
    synced_at = models.DateTimeField(null=True, blank=True)
    listed_at = models.DateTimeField(null=True, blank=True, help_text="When every open pull request was last read.")
    cursor = models.CharField(max_length=200, blank=True, default="", help_text="Where the next page of them begins.")
    renamed_to = models.CharField(
        max_length=201, blank=True, default="", help_text="What GitHub calls the repository now, if not as set."
    )
    problem = models.TextField(blank=True, default="")

    def __str__(self) -> str:
        return f"GitHub of {self.project}"


class PullReading(Job):
    """Reads from git what the open pull requests bring; woken when one of them or their base moved; never ends."""

    step_function = "releases.pulls.read"
    step_seconds = 600.0
    tireless = True

    project = models.OneToOneField(Project, models.CASCADE, related_name="pull_reading")

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"pull requests of {self.project}"


class LineReading(Job):
    """Sees how each new commit of the two long-lived branches came about; woken when one of them moved; never ends."""

    step_function = "releases.lines.read"
    step_seconds = 600.0
    tireless = True

    project = models.OneToOneField(Project, models.CASCADE, related_name="line_reading")

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"branches of {self.project}"


class PullNote(Job):
    """What a pull request is told of its migrations: one comment, edited ever after. Ends with the pull request."""

    step_function = "releases.pull_notes.step"
    tireless = True

    project = models.ForeignKey(Project, models.CASCADE, related_name="pull_notes")
    number = models.PositiveIntegerField()
    about = models.CharField(max_length=64, blank=True, default="", help_text="Digest of what it was last woken for.")
    content = models.CharField(max_length=64, blank=True, default="", help_text="Digest of the files looked at.")
    risks = models.JSONField(default=list, blank=True, help_text="environments.schema.risk.Risk, in order.")
    unread = models.CharField(max_length=300, blank=True, default="", help_text="Why the SQL was not looked at.")
    told = models.JSONField(default=dict, blank=True, help_text="What GitHub was told: comment, digest, problem.")

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["project", "number"], name="pull_note_once")]

    def __str__(self) -> str:
        return f"migrations of #{self.number}"


class Phase(models.TextChoices):
    """When a checklist item is due."""

    BEFORE = "before", "before promotion"
    AFTER = "after", "after promotion"


class Condition(models.TextChoices):
    """For which releases a checklist item counts."""

    ALWAYS = "always", "always"
    MIGRATIONS = "migrations", "only with migrations"


class ReleaseKind(models.TextChoices):
    """How a release comes to production: out of staging, or straight from a pull request into main."""

    NORMAL = "normal", "release"
    HOTFIX = "hotfix", "hotfix"


class ItemText(models.Model):
    """What a checklist item says, in a template and copied into a release."""

    position = models.PositiveSmallIntegerField(default=0)
    text = models.CharField(max_length=300)
    link = models.CharField(max_length=500, blank=True, default="", help_text="A page to look at; may be empty.")
    gate = models.CharField(max_length=40, blank=True, default="", help_text="Empty: a person ticks it.")
    phase = models.CharField(max_length=10, choices=Phase, default=Phase.BEFORE)
    condition = models.CharField(max_length=12, choices=Condition, default=Condition.ALWAYS)

    class Meta:
        abstract = True
        ordering = ["position", "pk"]

    def __str__(self) -> str:
        return self.text


class ChecklistTemplate(models.Model):
    """The checklist that new releases of a kind copy: a project's own, or the one without a project."""

    name = models.CharField(max_length=100, unique=True)
    kind = models.CharField(max_length=10, choices=ReleaseKind, default=ReleaseKind.NORMAL)
    project = models.ForeignKey(
        Project,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="checklist_templates",
        help_text="Empty: default.",
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                models.F("project"), models.F("kind"), nulls_distinct=False, name="checklist_template_one_of_a_kind"
            )
        ]

    def __str__(self) -> str:
        return self.name


class ChecklistTemplateItem(ItemText):
    """One line of a template."""

    template = models.ForeignKey(ChecklistTemplate, models.CASCADE, related_name="items")


class ReleaseStatus(models.TextChoices):
    """Where a release stands. `verifying`: production runs it, items after promotion remain."""

    OPEN = "open", "preparing"
    PROMOTING = "promoting", "promoting"
    VERIFYING = "verifying", "verifying in production"
    DONE = "done", "done"
    ABANDONED = "abandoned", "abandoned"
    ROLLED_BACK = "rolled_back", "rolled back"


class IllegalMove(Exception):
    """The status was not what the move needs: somebody else was quicker, or the move is not allowed."""


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
    base = models.CharField(max_length=64, help_text="Production's branch head when the candidate was pinned.")
    pull_number = models.PositiveIntegerField(null=True, blank=True, help_text="The promotion pull request.")
    commits = models.JSONField(default=list, help_text="Newest first: sha, title, author, at.")
    commit_count = models.PositiveIntegerField(default=0)
    pull_requests = models.ManyToManyField(PullRequest, blank=True, related_name="releases")
    migrations = models.JSONField(
        default=list, help_text="New revisions in order: id, path, sha256, message, database."
    )
    heads = models.JSONField(default=list, help_text="Alembic heads at the candidate, of every database.")
    heads_of = models.JSONField(default=dict, blank=True, help_text="Database → Alembic heads at the candidate.")
    migrations_problem = models.TextField(blank=True, default="", help_text="Why they could not be read, or are wrong.")
    uncovered = models.JSONField(default=list, blank=True, help_text="New revision files outside the Alembic path.")
    notes = models.TextField(blank=True, default="")
    merge_commit = models.CharField(max_length=64, blank=True, default="")
    behind = models.PositiveIntegerField(
        null=True, blank=True, help_text="Commits of production's branch that the candidate lacks."
    )
    moved = models.JSONField(default=dict, blank=True, help_text="What the last move of the candidate brought.")
    cut_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    cut_at = models.DateTimeField(default=timezone.now)
    candidate_at = models.DateTimeField(default=timezone.now)
    collected = models.CharField(
        max_length=64, blank=True, default="", help_text="The candidate whose commits and migrations are listed."
    )
    back_merge = models.JSONField(
        default=dict, blank=True, help_text="Of a hotfix: the pull request into staging, and whether staging holds it."
    )
    ended_at = models.DateTimeField(null=True, blank=True)

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
                condition=Q(status__in=["open", "promoting"]),
                name="release_one_of_a_kind_in_preparation",
            ),
            # One commit carries one verdict: two releases would tell GitHub different things about it.
            models.UniqueConstraint(
                fields=["project", "candidate"],
                condition=Q(status__in=["open", "promoting"]),
                name="release_one_verdict_for_a_commit",
            ),
            models.CheckConstraint(
                condition=~Q(kind=ReleaseKind.HOTFIX) | Q(pull_number__isnull=False), name="hotfix_has_a_pull_request"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def audit_scope(self) -> str:
        return self.project.slug

    @property
    def sign_in_policy(self) -> Policy:
        return self.project.sign_in_policy

    @property
    def is_hotfix(self) -> bool:
        return self.kind == ReleaseKind.HOTFIX

    @property
    def is_in_preparation(self) -> bool:
        return self.status in (ReleaseStatus.OPEN, ReleaseStatus.PROMOTING)

    def move_to(self, status: str, *, now: datetime) -> None:
        """Changes the status along `MOVES`, only if the row still has the one this object saw.

        Raises `IllegalMove`. The caller records the audit event in the same transaction.
        """
        if status not in self.MOVES[self.status]:
            raise IllegalMove(f"A release that is {self.get_status_display()} cannot become {status}.")
        final = (ReleaseStatus.DONE, ReleaseStatus.ABANDONED, ReleaseStatus.ROLLED_BACK)
        ended = now if status in final else None
        if not Release.objects.filter(pk=self.pk, status=self.status).update(status=status, ended_at=ended):
            raise IllegalMove("The release changed in the meantime; look again.")
        self.status, self.ended_at = status, ended


class ChecklistItem(ItemText):
    """A line of a release's checklist: ticked by a person for one candidate, or decided by a gate."""

    release = models.ForeignKey(Release, models.CASCADE, related_name="items")
    ticked_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+")
    ticked_at = models.DateTimeField(null=True, blank=True)
    ticked_candidate = models.CharField(max_length=64, blank=True, default="")
    note = models.TextField(blank=True, default="", max_length=2000)
    lapsed_at = models.DateTimeField(null=True, blank=True)

    class Meta(ItemText.Meta):
        abstract = False
        constraints = [
            models.CheckConstraint(
                condition=Q(ticked_at=None, ticked_by=None) | Q(ticked_at__isnull=False, ticked_by__isnull=False),
                name="checklist_item_tick_has_a_person",
            )
        ]

    @property
    def is_ticked(self) -> bool:
        return self.ticked_at is not None and self.lapsed_at is None


class Approval(models.Model):
    """A second person's signature under one candidate and its exact migrations."""

    release = models.ForeignKey(Release, models.CASCADE, related_name="approvals")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    candidate = models.CharField(max_length=64)
    content = models.CharField(max_length=64, help_text="Digest of candidate and revision files.")
    comment = models.TextField(blank=True, default="")
    given_at = models.DateTimeField(default=timezone.now)
    lapsed_at = models.DateTimeField(null=True, blank=True, help_text="When a change of configuration undid it.")
    lapsed_why = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["release", "user", "content"], condition=Q(lapsed_at=None), name="approval_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.user} for {self.candidate[:7]}"


class RiskAcceptance(models.Model):
    """An approver's word that the named risks of one revision file are taken; another content is not covered."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="risk_acceptances")
    release = models.ForeignKey(Release, models.PROTECT, related_name="risk_acceptances")
    revision = models.CharField(max_length=200)
    sha256 = models.CharField(max_length=64)
    risks = models.JSONField(help_text="What was accepted: severity and code of each.")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    reason = models.TextField(max_length=2000)
    at = models.DateTimeField(default=timezone.now)
    lapsed_at = models.DateTimeField(null=True, blank=True, help_text="When a change of configuration undid it.")
    lapsed_why = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["project", "sha256", "risks", "user"],
                condition=Q(lapsed_at=None),
                name="risk_acceptance_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.revision} by {self.user}"


class Freeze(models.Model):
    """Refuses promotions of a project until it is lifted."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="freezes")
    reason = models.CharField(max_length=300)
    started_at = models.DateTimeField(default=timezone.now)
    started_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    lifted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project"], condition=Q(lifted_at=None), name="freeze_one_open")]

    def __str__(self) -> str:
        return self.reason

    @property
    def audit_scope(self) -> str:
        return self.project.slug


class Upkeep(Job):
    """Keeps a release in step with the world until it ends.

    It collects commits and migrations, opens the promotion pull request, notices when the candidate moves, keeps
    the commit status on the candidate equal to what the gates say, and closes the release when all is verified.
    """

    step_function = "releases.jobs.keep_up"
    tireless = True

    release = models.OneToOneField(Release, models.CASCADE, related_name="upkeep")
    verdict_sha = models.CharField(max_length=64, blank=True, default="")
    verdict_state = models.CharField(max_length=10, blank=True, default="")
    verdict_sentence = models.CharField(max_length=140, blank=True, default="")
    verdict_at = models.DateTimeField(null=True, blank=True)
    verdict_by = models.CharField(max_length=100, blank=True, default="", help_text="As whom GitHub took it.")
    verdict_count = models.PositiveIntegerField(default=0, help_text="How many were posted on this commit.")
    verdict_problem = models.TextField(blank=True, default="", help_text="Why GitHub does not hold the verdict.")
    verdict_tries = models.PositiveSmallIntegerField(default=0)
    verdict_retry_at = models.DateTimeField(null=True, blank=True)
    problem = models.TextField(blank=True, default="")
    drift = models.JSONField(null=True, blank=True, help_text="Variables since the last release: `variable_drift`.")

    def __str__(self) -> str:
        return f"upkeep of {self.release_id}"


class Promotion(Job):
    """Our intent to move a release into production, step by step."""

    step_function = "releases.jobs.promote"

    release = models.ForeignKey(Release, models.PROTECT, related_name="promotions")
    started_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    gates = models.JSONField(default=list, help_text="What the gates said when it was started.")
    found = models.JSONField(null=True, blank=True, help_text="Database → what production's reported then.")

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["release"],
                condition=Q(status__in=[*OPEN, JobStatus.FAILED, JobStatus.NEEDS_PERSON]),
                name="promotion_one_unfinished",
            )
        ]

    def __str__(self) -> str:
        return f"promotion of {self.release}"

    @property
    def audit_scope(self) -> str:
        return self.release.audit_scope

    def ended(self, outcome: Ended, *, now: datetime) -> None:
        audit.record(
            "promotion.ended",
            actor=None,
            subject=self.release,
            outcome="done" if outcome.status == JobStatus.SUCCEEDED else "failed",
            sentence=outcome.sentence,
            data={"status": outcome.status, "candidate": self.release.candidate},
            now=now,
        )


class StepName(models.TextChoices):
    """The steps of a promotion; the project's order of deploy and migrate decides how they follow."""

    MERGE = "merge", "Merge"
    DEPLOY = "deploy", "Deploy"
    MIGRATE = "migrate", "Migrate"
    SMOKE = "smoke", "Smoke"
    SYNC_STAGING = "sync_staging", "Sync staging"
    BACK_MERGE = "back_merge", "Back-merge"


class PromotionStep(Step):
    """One re-entrant step of a promotion, with its history in the audit trail."""

    promotion = models.ForeignKey(Promotion, models.CASCADE, related_name="steps")
    name = models.CharField(max_length=20, choices=StepName)
    deploy_wanted = models.JSONField(default=list, help_text="Services that a person asked to deploy explicitly.")
    migration_run = models.ForeignKey(
        "environments.MigrationRun", models.PROTECT, null=True, blank=True, related_name="+"
    )
    database = models.ForeignKey(
        Database, models.PROTECT, null=True, blank=True, related_name="+", help_text="Of a migration."
    )
    called = models.CharField(
        max_length=60, blank=True, default="", help_text="The database's name, where there were several."
    )

    class Meta(Step.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["promotion", "name", "database"], nulls_distinct=False, name="promotion_step_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_name_display()} {self.called}".rstrip()


class TaskLog(models.Model):
    """What was done about a release or a finding, in the words of those who did it: one log for each."""

    release = models.OneToOneField(Release, models.CASCADE, null=True, blank=True, related_name="task_log")
    finding = models.OneToOneField(Finding, models.CASCADE, null=True, blank=True, related_name="task_log")
    goal = models.TextField(blank=True, default="", max_length=20_000)
    notes = models.TextField(blank=True, default="", max_length=20_000)
    decisions = models.TextField(blank=True, default="", max_length=20_000)
    commands = models.TextField(blank=True, default="", max_length=20_000)
    outcome = models.TextField(blank=True, default="", max_length=20_000)
    version = models.PositiveIntegerField(default=1, help_text="Grows with each save; a stale one is refused.")
    authors = models.ManyToManyField(settings.AUTH_USER_MODEL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    saved_at = models.DateTimeField(default=timezone.now)
    saved_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")

    class Meta:
        default_permissions = ("view",)
        permissions = [("write_tasklog", "Can write task logs")]
        constraints = [
            models.CheckConstraint(
                condition=Q(release__isnull=False, finding=None) | Q(release=None, finding__isnull=False),
                name="task_log_of_one_thing",
            )
        ]

    def __str__(self) -> str:
        return f"task log {self.pk}"


class KeptVariables(models.Model):
    """Names and keyed fingerprints of production's and staging's variables when a release was promoted."""

    release = models.OneToOneField(Release, models.CASCADE, related_name="kept_variables")
    at = models.DateTimeField()
    key = models.CharField(max_length=16, help_text="Names the key of the fingerprints.")
    read = models.JSONField(help_text="Kinds of the environments whose variables were known.")
    rows = models.JSONField(help_text="kind, service, name, mark: “sealed” or the fingerprint.")

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"variables of {self.release}"
