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

LABELS = {
    "name": "Name",
    "repository": "GitHub repository",
    "railway_project_id": "Railway project ID",
    "staging_branch": "Branch of staging",
    "staging_environment": "Railway environment of staging",
    "production_branch": "Branch of production",
    "production_environment": "Railway environment of production",
    "git_url": "Git address",
    "watch_only": "Watch only",
    "required_approvals": "Approvals for a promotion",
    "soak_minutes": "Soak time (minutes)",
    "deploy_order": "Order of deploy and migration",
    "deploy_minutes": "Deploy time limit (minutes)",
    "rollback_approvals": "Approvals for a rollback",
    "retention_hours": "Image retention on Railway (hours)",
    "second_factor": "Require a second factor",
    "sign_in_minutes": "Require a recent sign-in (minutes)",
    "previews": "Create a preview for each pull request into staging",
    "preview_drafts": "Also for drafts",
    "preview_forks": "Also for forks",
    "preview_limit": "Previews at a time",
    "preview_days": "Lifetime (days)",
    "preview_migrates": "Migrate the preview's database",
    "protected_approvals": "Approvals of a pull request",
    "portal_app": "GitHub App of the portal",
    "statement_seconds": "Statement time limit (seconds)",
    "lock_seconds": "Lock time limit (seconds)",
    "pull_comments": "Comment on pull requests with migrations",
    "pull_comment_forks": "Execute revision files of forks",
    "pre_push": "Commands before pushing",
    "required_checks": "Required checks",
    "protected_checks": "Required checks",
}
HELP_TEXTS = {
    "repository": "owner/name",
    "railway_project_id": "The ID in the address of the project on Railway.",
    "staging_environment": "",
    "production_environment": "",
    "watch_only": "The portal writes nothing to GitHub, Railway or a database; it shows and "
    "records what it would do.",
    "git_url": "Leave empty for github.com. Set it to read the repository over SSH.",
    "required_approvals": "By people other than the one who created the release. With 0, one "
    "person alone can promote to production.",
    "soak_minutes": "How long staging runs a migration before production may.",
    "deploy_minutes": "After this time the promotion stops and asks a person.",
    "rollback_approvals": "By people other than the one who requested the rollback.",
    "retention_hours": "How long a replaced deployment can be restored: Free 24, Hobby 72, Pro "
    "120, Enterprise 360. Leave empty if not known.",
    "second_factor": "To promote, approve, accept a risk, roll back, skip or reset.",
    "sign_in_minutes": "For the same actions. Leave empty to accept any sign-in.",
    "previews": "Each preview is a Railway environment and costs money.",
    "preview_drafts": "",
    "preview_forks": "Strangers' code would run with staging's variables.",
    "preview_limit": "",
    "preview_days": "After the last push. The next push recreates the preview.",
    "preview_migrates": "Only a database of the preview's own.",
    "protected_approvals": "",
    "portal_app": "Its slug. Only this App may bypass the pull-request rule of staging.",
    "statement_seconds": "A statement that takes longer is canceled.",
    "lock_seconds": "A statement that waits longer for a table lock is canceled.",
    "pull_comments": "One comment, updated with each push.",
    "pull_comment_forks": "To show their SQL. The process is isolated and has no secrets.",
    "pre_push": "One a line; shown to authors on the page Pull requests.",
    "required_checks": "One a line, in addition to the checks that branch protection requires.",
    "protected_checks": "One a line. Only checks that run.",
}


def _form_field(field: models.Field) -> forms.Field | None:
    """Return the form's field for a setting: a list of names is typed one a line."""
    label = LABELS.get(field.name, capfirst(field.verbose_name))
    help_text = HELP_TEXTS.get(field.name, field.help_text)
    if isinstance(field, models.JSONField):
        return Lines(label=label, help_text=help_text, required=False)
    return field.formfield(label=label, help_text=help_text)


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
            formfield_callback=_form_field,
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
