"""Checklists: templates, and the items copied into a release."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from environments.models import Project
from releases.conditions import registry as conditions
from releases.models.releases import Release, ReleaseKind


class Phase(models.TextChoices):
    """When a checklist item is due."""

    BEFORE = "before", "before promotion"
    AFTER = "after", "after promotion"


class ItemText(models.Model):
    """What a checklist item says, in a template and copied into a release."""

    position = models.PositiveSmallIntegerField(default=0)
    text = models.CharField(max_length=300)
    link = models.CharField(
        max_length=500, blank=True, default="", help_text="A page to look at (optional)."
    )
    gate = models.CharField(
        max_length=40,
        blank=True,
        default="",
        help_text="The gate that decides the item. Empty: a person ticks it.",
    )
    phase = models.CharField(max_length=10, choices=Phase, default=Phase.BEFORE)
    condition = models.CharField(max_length=40, choices=conditions.choices, default="always")

    class Meta:
        abstract = True
        ordering = ["position", "pk"]

    def __str__(self) -> str:
        return self.text


class ChecklistTemplate(models.Model):
    """The checklist that new releases of a kind copy: a project's own, or the one without a
    project.
    """

    name = models.CharField(max_length=100, unique=True)
    kind = models.CharField(max_length=10, choices=ReleaseKind, default=ReleaseKind.NORMAL)
    project = models.ForeignKey(
        Project,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="checklist_templates",
        help_text="Empty: the default for every project.",
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                models.F("project"),
                models.F("kind"),
                nulls_distinct=False,
                name="checklist_template_one_of_a_kind",
            )
        ]

    def __str__(self) -> str:
        return self.name


class ChecklistTemplateItem(ItemText):
    """One line of a template."""

    template = models.ForeignKey(ChecklistTemplate, models.CASCADE, related_name="items")


class ChecklistItem(ItemText):
    """A line of a release's checklist: ticked by a person for one candidate, or decided by a
    gate.
    """

    release = models.ForeignKey(Release, models.CASCADE, related_name="items")
    ticked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+"
    )
    ticked_at = models.DateTimeField(null=True, blank=True)
    ticked_candidate = models.CharField(max_length=64, blank=True, default="")
    note = models.TextField(blank=True, default="", max_length=2000)
    lapsed_at = models.DateTimeField(null=True, blank=True)

    class Meta(ItemText.Meta):
        abstract = False
        constraints = [
            models.CheckConstraint(
                condition=Q(ticked_at=None, ticked_by=None)
                | Q(ticked_at__isnull=False, ticked_by__isnull=False),
                name="checklist_item_tick_has_a_person",
            )
        ]

    @property
    def is_ticked(self) -> bool:
        return self.ticked_at is not None and self.lapsed_at is None
