"""What a project is: its name, its repository and its Railway project."""

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils import timezone

from environments.git.addresses import fault_of

REPOSITORY_NAME = RegexValidator(
    r"^[\w.-]{1,100}/[\w.-]{1,100}\Z", "Write the repository as owner/name."
)
ONE_PROJECT = (
    "Another project releases this repository already: both would post one commit status and share"
    " one promotion pull request. Add its second database to that project instead."
)


def check_git_address(url: str) -> None:
    """Raise `ValidationError` for an address that git must not be given."""
    if fault := fault_of(url):
        raise ValidationError(fault)


class General(models.Model):
    """The repository and the Railway project, and how the portal names them."""

    name = models.CharField(max_length=100, unique=True)
    slug = models.SlugField(max_length=50, unique=True)
    repository = models.CharField(
        max_length=201, validators=[REPOSITORY_NAME], help_text="owner/name on GitHub"
    )
    git_url = models.CharField(
        max_length=500,
        blank=True,
        validators=[check_git_address],
        help_text=(
            "Only where it is not GitHub's usual address. The GitHub token is sent to GitHub's host"
            " alone."
        ),
    )
    railway_project_id = models.CharField(max_length=64, blank=True)
    watch_only = models.BooleanField(
        "Watch only",
        default=False,
        help_text=(
            "Nothing is sent to GitHub, Railway or a database: what would be is shown and recorded."
        ),
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    renamed_to = models.CharField(
        max_length=201,
        blank=True,
        default="",
        editable=False,
        help_text=(
            "What GitHub calls the repository now, if not as set. It is read under that name."
        ),
    )
    former_names = models.JSONField(
        default=list,
        editable=False,
        help_text="What it was called before: Railway may go on saying so.",
    )
    shares_repository = models.BooleanField(
        default=False,
        editable=False,
        help_text="Older than the rule that a repository has one project.",
    )

    class Meta:
        abstract = True
        verbose_name = "General"
        constraints = [
            models.UniqueConstraint(
                Lower("repository"),
                condition=Q(shares_repository=False),
                name="project_one_for_a_repository",
                violation_error_message=ONE_PROJECT,
            )
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Refuse a repository that another project has.

        The constraint alone does not: forms leave out a field that it looks at.
        """
        projects = type(self)._default_manager.exclude(pk=self.pk)
        if (
            not self.shares_repository
            and projects.filter(repository__iexact=self.repository).exists()
        ):
            raise ValidationError({"repository": ONE_PROJECT})

    @property
    def audit_scope(self) -> str:
        return self.slug

    @property
    def read_as(self) -> str:
        """The name under which git finds the repository: git follows no redirect."""
        return self.renamed_to or self.repository

    def is_own(self, repository: str | None) -> bool:
        """Return whether `repository` is this project's, by its present or a former name."""
        names = [self.repository, self.renamed_to, *self.former_names]
        return bool(repository) and (repository or "").lower() in (name.lower() for name in names)
