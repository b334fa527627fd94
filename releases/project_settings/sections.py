"""The sections of the page *Project settings*: one form for each concern of a project.

A section shows every setting of its concern (`environments/models/project/`), in the same order.
"""

from dataclasses import dataclass
from functools import cached_property

from django import forms
from django.db import models
from django.forms.models import modelform_factory
from django.utils.text import capfirst

from environments.models import Project
from environments.models.project import settings_of
from environments.models.project.branches import LongLivedBranches
from environments.models.project.general import General
from environments.models.project.migrations import MigrationRules
from environments.models.project.previews import PreviewRules
from environments.models.project.protection import ProtectionRules
from environments.models.project.pull_requests import PullRequestRules
from environments.models.project.releases import ReleaseRules
from environments.models.project.sign_in import SignInRules
from portal.ui.forms import Lines

FIXED = {"slug"}  # addresses and the audit trail name a project by it


def form_field(field: models.Field) -> forms.Field | None:
    """Return the form's field for a setting: a list of names is typed one a line."""
    if not isinstance(field, models.JSONField):
        return field.formfield()
    return Lines(label=capfirst(field.verbose_name), help_text=str(field.help_text), required=False)


@dataclass(frozen=True)
class Section:
    """One concern of a project, as a form of the page."""

    key: str
    concern: type[models.Model]
    sentence: str

    @property
    def title(self) -> str:
        return str(self.concern._meta.verbose_name)

    @cached_property
    def form(self) -> type[forms.ModelForm]:
        """The form of the concern's settings."""
        return modelform_factory(
            Project,
            fields=[name for name in settings_of(self.concern) if name not in FIXED],
            formfield_callback=form_field,
        )


SECTIONS = {
    section.key: section
    for section in (
        Section("general", General, "What is released."),
        Section("branches", LongLivedBranches, "What is deployed where."),
        Section(
            "rules",
            ReleaseRules,
            "What a release needs before promotion, and how it is rolled back.",
        ),
        Section("pull-requests", PullRequestRules, "What authors see."),
        Section("previews", PreviewRules, "Environments for pull requests."),
        Section("protection", ProtectionRules, "What GitHub must require of both branches."),
        Section("migrations", MigrationRules, "Limits of a migration run."),
        Section("sign-in", SignInRules, "What a person proves before a dangerous action."),
    )
}
