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

    name = models.CharField("Name", max_length=100, unique=True)
    slug = models.SlugField(max_length=50, unique=True)
    repository = models.CharField(
        "GitHub repository",
        max_length=201,
        validators=[REPOSITORY_NAME],
        help_text="Its name on GitHub, as owner/name.",
    )
    git_url = models.CharField(
        "Git address",
        max_length=500,
        blank=True,
        validators=[check_git_address],
        help_text=(
            "Leave empty for github.com. Set it to read the repository over SSH. The GitHub token"
            " is sent to GitHub's host only."
        ),
    )
    railway_project_id = models.CharField(
        "Railway project ID",
        max_length=64,
        blank=True,
        help_text="The ID in the address of the project on Railway.",
    )
    watch_only = models.BooleanField(
        "Watch only",
        default=False,
        help_text=(
            "The portal writes nothing to GitHub, Railway or a database; it shows and records what"
            " it would do."
        ),
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    renamed_to = models.CharField(
        max_length=201,
        blank=True,
        default="",
        editable=False,
        help_text=(
            "The repository's present name on GitHub, if it was renamed. The portal reads it under"
            " this name."
        ),
    )
    former_names = models.JSONField(
        default=list,
        editable=False,
        help_text="Earlier names of the repository, which Railway may still use.",
    )
    shares_repository = models.BooleanField(
        default=False,
        editable=False,
        help_text=(
            "Another project releases the same repository. Only projects from before that was"
            " refused have this."
        ),
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
