"""The long-lived branches, their protection, and resets of staging."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from environments.models.project import Project
from environments.models.repairs import Repair
from portal.models.sign_in_policy import Policy


class Branch(models.Model):
    """The head of a long-lived branch, as last seen on GitHub."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="branches")
    name = models.CharField(max_length=200)
    head = models.CharField(max_length=64, blank=True, default="")
    head_at = models.DateTimeField(
        null=True, blank=True, help_text="When this head was first seen."
    )
    required_contexts = models.JSONField(
        null=True,
        blank=True,
        help_text="Checks that the branch's rules require. Null: the rules could not be read.",
    )
    merge_rules = models.JSONField(
        null=True,
        blank=True,
        help_text=(
            "What GitHub requires of a merge (environments.github.MergeRules). Null: not known."
        ),
    )
    seen_at = models.DateTimeField()
    judged = models.CharField(
        max_length=64, blank=True, default="", help_text="The newest commit whose origin is known."
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "name"], name="branch_once")]

    def __str__(self) -> str:
        return self.name

    @classmethod
    def heads(cls, project: Project) -> dict[str, str]:
        """Return the head of each branch, by its name. One query."""
        return dict(cls.objects.filter(project=project).values_list("name", "head"))


class BranchProtection(models.Model):
    """The protection of a branch on GitHub, as last read, and how it differs from the rules."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="protections")
    branch = models.CharField(max_length=200)
    lines = models.JSONField(
        default=list, help_text="The settings of the branch as read, in order."
    )
    problems = models.JSONField(
        default=list, blank=True, help_text="What could not be read, and why."
    )
    settings = models.JSONField(
        null=True,
        blank=True,
        help_text="Each setting of the classic protection, in words. Null: not known.",
    )
    ran = models.JSONField(
        null=True,
        blank=True,
        help_text="Checks that ran on changes into the branch. Null: not known.",
    )
    closed = models.BooleanField(
        null=True,
        help_text="Whether the branch rules keep the portal from pushing here. Empty: not known.",
    )
    read_at = models.DateTimeField()

    class Meta:
        default_permissions = ("view",)
        permissions = [("protect_branch", "Can have a branch protected")]
        constraints = [
            models.UniqueConstraint(fields=["project", "branch"], name="branch_protection_once")
        ]

    def __str__(self) -> str:
        return f"protection of {self.branch}"


class StagingReset(models.Model):
    """A request to reset staging to main although each has commits of its own. It needs two
    people and holds for exactly two heads.
    """

    project = models.ForeignKey(Project, models.CASCADE, related_name="resets")
    staging_head = models.CharField(max_length=64)
    main_head = models.CharField(max_length=64)
    reason = models.TextField(max_length=2000)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    requested_at = models.DateTimeField(default=timezone.now)
    signed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+"
    )
    closed_at = models.DateTimeField(
        null=True, blank=True, help_text="When it was signed or cancelled."
    )
    repair = models.OneToOneField(
        Repair, models.PROTECT, null=True, blank=True, related_name="reset"
    )

    class Meta:
        ordering = ["-pk"]
        default_permissions = ("view",)
        permissions = [("sign_reset", "Can sign a reset of staging that somebody else asked for")]
        constraints = [
            models.UniqueConstraint(
                fields=["project"], condition=Q(closed_at=None), name="staging_reset_one_open"
            ),
            models.CheckConstraint(
                condition=~Q(signed_by=F("requested_by")), name="staging_reset_two_people"
            ),
            models.CheckConstraint(
                condition=Q(repair=None) | Q(signed_by__isnull=False),
                name="staging_reset_done_when_signed",
            ),
        ]

    def __str__(self) -> str:
        return f"reset of {self.staging_head[:7]} to {self.main_head[:7]}"

    @property
    def sign_in_policy(self) -> Policy:
        return self.project.sign_in_policy
