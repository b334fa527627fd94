"""What a person pastes, chooses and corrects while a project is connected."""

from django import forms

from environments.setup.discover import Found
from portal.ui.forms import Text

NO_SERVICE = "Choose GitHub or Railway."
SOAK = [(0, "none"), (30, "30 minutes"), (60, "1 hour"), (240, "4 hours"), (1440, "1 day")]
APPROVALS = [
    (0, "nobody: one person alone can ship"),
    (1, "one other person"),
    (2, "two other people"),
]


class CredentialForm(forms.Form):
    """A pasted token."""

    service = forms.ChoiceField(
        choices=[("github", "GitHub"), ("railway", "Railway")],
        error_messages=dict.fromkeys(("required", "invalid_choice"), NO_SERVICE),
    )
    token = Text(10_000, missing="Paste the token.", strip=False)
    scope = Text(50)


class OwnCredentialForm(forms.Form):
    """Whose own credential is removed, and for which service."""

    service = forms.ChoiceField(
        choices=[("github", "GitHub"), ("railway", "Railway")],
        error_messages=dict.fromkeys(("required", "invalid_choice"), NO_SERVICE),
    )
    scope = Text(50, missing="Name the project.")


class OrganizationForm(forms.Form):
    """On which account a GitHub App is made; empty: the person's own."""

    organization = forms.RegexField(
        r"^[A-Za-z0-9](?:[A-Za-z0-9-]{0,37}[A-Za-z0-9])?\Z",
        required=False,
        label="Organization on GitHub",
        error_messages={"invalid": "Write the organization as in its address on GitHub."},
    )
    scope = Text(50, widget=forms.HiddenInput)


class ChooseForm(forms.Form):
    """The repository and the Railway project."""

    repository = Text(201, missing="Choose a repository.")
    railway = Text(64, missing="Choose a Railway project.")


class DatabaseForm(forms.Form):
    """One Alembic directory and its database; left out without a tick."""

    keep = forms.BooleanField(required=False, label="Migrate it")
    name = Text(60, label="Name")
    alembic = Text(300, label="Alembic")
    service = Text(100, label="Service")
    variable = Text(100, label="Variable")
    public_service = Text(100, label="Database’s own service")
    public_variable = Text(100, label="Its public variable")


class ProposalForm(forms.Form):
    """The settings of the new project; each has a proposal."""

    name = Text(100, missing="Name the project.", label="Name")
    staging_environment = Text(200, missing="Name staging’s environment.", label="Staging")
    staging_branch = Text(200, missing="Name staging’s branch.", label="Staging’s branch")
    production_environment = Text(200, missing="Name production’s.", label="Production")
    production_branch = Text(200, missing="Name its branch.", label="Production’s branch")
    checks = Text(2000, label="Checks that must pass, one a line", widget=forms.Textarea)
    pre_push = Text(2000, label="Commands before a push, one a line", widget=forms.Textarea)
    smoke = Text(2000, label="Smoke tests: service and path, one a line", widget=forms.Textarea)
    required_approvals = forms.TypedChoiceField(
        choices=APPROVALS, coerce=int, label="Who approves a release"
    )
    protected_approvals = forms.TypedChoiceField(
        choices=[(count, str(count)) for count in range(7)],
        coerce=int,
        label="Approvals that GitHub is to demand of a pull request",
    )
    soak_minutes = forms.TypedChoiceField(
        choices=SOAK, coerce=int, label="Observation in staging after migrating"
    )
    second_factor = forms.BooleanField(required=False, label="Ask for a second factor to promote")
    previews = forms.BooleanField(required=False, label="Make a preview for each pull request")
    pull_comments = forms.BooleanField(required=False, label="Comment on risky migrations")
    watch_only = forms.BooleanField(required=False, label="Watch only for now")

    def clean_smoke(self) -> list[tuple[str, str]]:
        """Return (service, path) of each line."""
        lines = [line.split() for line in self.cleaned_data["smoke"].splitlines() if line.strip()]
        if any(len(parts) != 2 or not parts[1].startswith("/") for parts in lines):
            raise forms.ValidationError("Write each smoke test as “service /path”.")
        return [(service, path) for service, path in lines]

    def clean_checks(self) -> list[str]:
        """Return the names of checks."""
        lines = self.cleaned_data["checks"].splitlines()
        return [line.strip() for line in lines if line.strip()]


DatabaseFormSet = forms.formset_factory(DatabaseForm, extra=0)


def initial(values: Found) -> dict[str, object]:
    """Return what the form shows first, out of what was found."""
    smoke = "\n".join(f"{test['service']} {test['path']}" for test in values["smoke"])
    usual = {"required_approvals": 1, "soak_minutes": 30, "second_factor": True}
    return {**usual, "pull_comments": True, "watch_only": True, **values["fields"], "smoke": smoke}


class Keys(forms.MultipleChoiceField):
    """Keys of listed writes. The action knows which of them there are."""

    def valid_value(self, value: str) -> bool:
        return len(value) <= 300 and "\x00" not in value


class GoLiveForm(forms.Form):
    """What of the listed writes is wanted."""

    wanted = Keys(required=False)
