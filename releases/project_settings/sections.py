"""The sections of the page *Project settings*: one form each, in a release manager's words.

A field that is not named here is edited in the stock admin (*All rows*).
"""

from dataclasses import dataclass

from django import forms

from environments.models import Project
from portal.ui.forms import Lines


class IdentityForm(forms.ModelForm):
    """What the project is: repository, Railway project, branches and environments."""

    class Meta:
        model = Project
        fields = (
            "name",
            "repository",
            "railway_project_id",
            "staging_branch",
            "staging_environment",
            "production_branch",
            "production_environment",
            "git_url",
            "watch_only",
        )
        labels = {
            "name": "Name",
            "repository": "GitHub repository",
            "railway_project_id": "Railway project ID",
            "staging_branch": "Branch of staging",
            "staging_environment": "Railway environment of staging",
            "production_branch": "Branch of production",
            "production_environment": "Railway environment of production",
            "git_url": "Git address",
            "watch_only": "Watch only",
        }
        help_texts = {
            "repository": "owner/name",
            "railway_project_id": "The ID in the address of the project on Railway.",
            "staging_environment": "",
            "production_environment": "",
            "watch_only": "The portal writes nothing to GitHub, Railway or a database; it shows "
            "and records what it would do.",
            "git_url": "Leave empty for github.com. Set it to read the repository over SSH.",
        }


class ReleaseRulesForm(forms.ModelForm):
    """What a release needs before promotion, and how it is rolled back."""

    required_checks = Lines(
        label="Required checks",
        required=False,
        help_text="One a line, in addition to the checks that branch protection requires.",
    )

    class Meta:
        model = Project
        fields = (
            "required_approvals",
            "required_checks",
            "soak_minutes",
            "deploy_order",
            "deploy_minutes",
            "rollback_approvals",
            "retention_hours",
            "second_factor",
            "sign_in_minutes",
        )
        labels = {
            "required_approvals": "Approvals for a promotion",
            "soak_minutes": "Soak time (minutes)",
            "deploy_order": "Order of deploy and migration",
            "deploy_minutes": "Deploy time limit (minutes)",
            "rollback_approvals": "Approvals for a rollback",
            "retention_hours": "Image retention on Railway (hours)",
            "second_factor": "Require a second factor",
            "sign_in_minutes": "Require a recent sign-in (minutes)",
        }
        help_texts = {
            "required_approvals": "By people other than the one who created the release. "
            "With 0, one person alone can promote to production.",
            "soak_minutes": "How long staging runs a migration before production may.",
            "deploy_minutes": "After this time the promotion stops and asks a person.",
            "rollback_approvals": "By people other than the one who requested the rollback.",
            "retention_hours": "How long a replaced deployment can be restored: Free 24, Hobby "
            "72, Pro 120, Enterprise 360. Leave empty if not known.",
            "second_factor": "To promote, approve, accept a risk, roll back, skip or reset.",
            "sign_in_minutes": "For the same actions. Leave empty to accept any sign-in.",
        }


class PreviewsForm(forms.ModelForm):
    """Which pull requests get an environment of their own."""

    class Meta:
        model = Project
        fields = (
            "previews",
            "preview_drafts",
            "preview_forks",
            "preview_limit",
            "preview_days",
            "preview_migrates",
        )
        labels = {
            "previews": "Create a preview for each pull request into staging",
            "preview_drafts": "Also for drafts",
            "preview_forks": "Also for forks",
            "preview_limit": "Previews at a time",
            "preview_days": "Lifetime (days)",
            "preview_migrates": "Migrate the preview's database",
        }
        help_texts = {
            "previews": "Each preview is a Railway environment and costs money.",
            "preview_drafts": "",
            "preview_forks": "Strangers' code would run with staging's variables.",
            "preview_limit": "",
            "preview_days": "After the last push. The next push recreates the preview.",
            "preview_migrates": "Only a database of the preview's own.",
        }


class ProtectionForm(forms.ModelForm):
    """What GitHub must require of both long-lived branches."""

    protected_checks = Lines(
        label="Required checks", required=False, help_text="One a line. Only checks that run."
    )

    class Meta:
        model = Project
        fields = ("protected_approvals", "protected_checks", "portal_app")
        labels = {
            "protected_approvals": "Approvals of a pull request",
            "portal_app": "GitHub App of the portal",
        }
        help_texts = {
            "protected_approvals": "",
            "portal_app": "Its slug. Only this App may bypass the pull-request rule of staging.",
        }


class MigrationsForm(forms.ModelForm):
    """Limits of a migration run, and what pull requests with migrations show."""

    class Meta:
        model = Project
        fields = (
            "statement_seconds",
            "lock_seconds",
            "pull_comments",
            "pull_comment_forks",
            "pre_push",
        )
        labels = {
            "statement_seconds": "Statement time limit (seconds)",
            "lock_seconds": "Lock time limit (seconds)",
            "pull_comments": "Comment on pull requests with migrations",
            "pull_comment_forks": "Execute revision files of forks",
            "pre_push": "Commands before pushing",
        }
        help_texts = {
            "statement_seconds": "A statement that takes longer is canceled.",
            "lock_seconds": "A statement that waits longer for a table lock is canceled.",
            "pull_comments": "One comment, updated with each push.",
            "pull_comment_forks": "To show their SQL. The process is isolated and has no secrets.",
            "pre_push": "One a line; shown to authors on the page Pull requests.",
        }


@dataclass(frozen=True)
class Section:
    """One form of the page."""

    key: str
    title: str
    sentence: str
    form: type[forms.ModelForm]


SECTIONS = {
    section.key: section
    for section in (
        Section("project", "Project", "What is released, and where it runs.", IdentityForm),
        Section(
            "rules",
            "Rules for releases",
            "What a release needs before promotion, and how it is rolled back.",
            ReleaseRulesForm,
        ),
        Section("previews", "Previews", "Environments for pull requests.", PreviewsForm),
        Section(
            "protection",
            "Branch protection",
            "What GitHub must require of both branches.",
            ProtectionForm,
        ),
        Section(
            "migrations", "Migrations", "Limits of a run, and help for authors.", MigrationsForm
        ),
    )
}
